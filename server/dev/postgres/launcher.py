"""Embedded PostgreSQL 18 for development: a wheel's programs under our own launcher, as root or another account."""

import os
import secrets
import shutil
import socket
import sys
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import IO, Final, Self
from urllib.parse import quote

from server.dev.folder import private_folder
from server.dev.postgres.child import Child
from server.dev.postgres.leftover import stop_leftover
from server.dev.postgres.site import Site, find_site, places_of
from server.errors import StartupError

PATIENCE_S: Final = 60.0
ATTEMPTS: Final = 5
PARTIAL: Final = "partial-cluster-"
SETTINGS: Final = {
    "listen_addresses": "127.0.0.1",
    # No socket files: they would need protection, and in a deep folder their path could exceed 107 bytes.
    "unix_socket_directories": "",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # The data is a sample that can be loaded again, so it need not survive a power failure. It survives a SIGKILL of
    # every process: synchronous_commit stays on, so a commit is with the operating system, at almost no cost.
    "fsync": "off",
    "full_page_writes": "off",
}
# initdb also checks the locale with the C library, and not every macOS has C.UTF-8.
LOCALE: Final = ("--locale=C", "--builtin-locale=C.UTF-8") if sys.platform == "darwin" else ("--locale=C.UTF-8",)


class EmbeddedPostgres:
    """A separate PostgreSQL server in `folder`, on a free loopback port, for one process at a time."""

    def __init__(self, folder: Path) -> None:
        """Change nothing yet; `start` creates `folder` or continues with what is in it."""
        self.port = 0
        # One folder has one name; but if `folder` itself is a link, it is not followed: the start refuses it.
        self._folder = folder.parent.resolve() / folder.name
        self._log = self._folder / "postgres.log"
        self._password = ""
        self._child: Child | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def admin_url(self) -> str:
        """The superuser's connection URL."""
        return self.url("postgres", self._password)

    def url(self, user: str, password: str, database: str = "postgres") -> str:
        """Return a connection URL for any user; the server must have been started."""
        parts = (quote(part, safe="") for part in (user, password, database))
        return "postgresql://{}:{}@127.0.0.1:{port}/{}".format(*parts, port=self.port)

    def start(self) -> None:
        """Return when connections are accepted; raise StartupError with the log's last line when that fails."""
        if self._child is not None and self._child.running:
            return
        try:
            site = find_site(private_folder(self._folder))
            stop_leftover(site.cluster)
            with self._log.open("wb") as log:
                self._log.chmod(0o600)
                self._prepare(site, log)
                self._child = self._launch(site, log)
        except OSError as error:
            raise StartupError(
                f"Embedded PostgreSQL cannot use {self._folder} ({error}); choose another folder with --folder."
            ) from error

    def stop(self) -> None:
        """Shut down and return when the process is reaped; does nothing when nothing runs."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def remove(self) -> None:
        """Stop, and delete everything that was ever written for `folder`, inside or outside it."""
        self.stop()
        for place in places_of(self._folder):
            stop_leftover(place / "cluster")
            shutil.rmtree(place)

    def _prepare(self, site: Site, log: IO[bytes]) -> None:
        """Keep or make a cluster and its password: without the password old data cannot be read."""
        secret = self._folder / "password"
        if not secret.exists():
            shutil.rmtree(site.cluster, ignore_errors=True)
            _write_private(secret, secrets.token_urlsafe(24))
        self._password = secret.read_text(encoding="utf-8")
        if not site.cluster.exists():
            self._initialise(site, log)

    def _initialise(self, site: Site, log: IO[bytes]) -> None:
        """Make a new cluster; it gets its name only when it is complete, so a killed initdb leaves none."""
        for unfinished in site.place.glob(f"{PARTIAL}*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        # A unique name: a killed initdb may still be cleaning up.
        fresh = Path(mkdtemp(prefix=PARTIAL, dir=site.place))
        site.account.own(fresh)
        handed = site.place / "password-for-initdb"
        _write_private(handed, self._password)
        site.account.own(handed)
        command = [str(site.programs / "initdb"), "-D", str(fresh), "-U", "postgres", f"--pwfile={handed}"]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", *LOCALE]
        child = Child([*command, "--no-sync", "--no-instructions"], site.account, site.place, log)
        try:
            code = child.wait(PATIENCE_S)
        finally:
            child.stop()
            handed.unlink()
        if code != 0:
            raise self._failure()
        fresh.rename(site.cluster)

    def _launch(self, site: Site, log: IO[bytes]) -> Child:
        """Start the server on a free port; try another one if it was taken meanwhile."""
        for _ in range(ATTEMPTS):
            self.port = _free_port()
            before = log.seek(0, os.SEEK_END)
            command = [str(site.programs / "postgres"), "-D", str(site.cluster), "-p", str(self.port)]
            for name, value in SETTINGS.items():
                command += ["-c", f"{name}={value}"]
            child = Child(command, site.account, site.place, log)
            try:
                if _accepts(child, site.cluster):
                    return child
            except BaseException:
                child.stop()
                raise
            child.stop()
            if b"could not bind" not in self._log.read_bytes()[before:]:
                break
        raise self._failure()

    def _failure(self) -> StartupError:
        """Return an error with PostgreSQL's last message and the place of the log."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
        return StartupError(
            f"Embedded PostgreSQL did not start: {last} (log: {self._log}); "
            f"if its data is damaged, remove {self._folder} to begin anew."
        )


def _free_port() -> int:
    """Ask the kernel for a loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can ever read, completely or not at all."""
    partial = path.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    partial.rename(path)


def _accepts(child: Child, cluster: Path) -> bool:
    """Wait until this server's lock file says that it is ready; return False if it ended or took too long."""
    deadline = time.monotonic() + PATIENCE_S
    while child.running and time.monotonic() < deadline:
        try:
            status = (cluster / "postmaster.pid").read_text(encoding="utf-8").split("\n")
        except FileNotFoundError:
            status = []
        if len(status) > 7 and status[0] == str(child.pid) and status[7].strip() == "ready":
            return True
        time.sleep(0.01)
    return False
