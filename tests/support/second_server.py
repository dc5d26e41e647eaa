"""A second real server of another version, as a distribution packages it: PostgreSQL 14 to 17 from Debian's folders."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree

from server.dev.postgres.child import Child
from server.dev.postgres.launcher import _accepts
from server.dev.postgres.site import Site, find_site
from support.ports import free_port

PROGRAMS = next((path for path in sorted(Path("/usr/lib/postgresql").glob("1[4-7]/bin")) if path.is_dir()), None)
MISSING = "there is no second PostgreSQL (14 to 17) in /usr/lib/postgresql; install Debian's postgresql"
PASSWORD = "of-a-test"


@contextmanager
def second_server(folder: Path, **settings: str) -> Generator[str]:
    """Run it with `settings` on a free loopback port with data of its own; yield the superuser's URL."""
    assert PROGRAMS is not None, MISSING
    folder.mkdir(mode=0o711)
    found = find_site(folder)
    site = Site(found.account, found.place, PROGRAMS)
    with (folder / "log").open("wb") as log:
        _initialise(site, log)
        port = free_port()
        command = [str(PROGRAMS / "postgres"), "-D", str(site.cluster), "-p", str(port), "-c", "fsync=off"]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        child = Child(command, site.account, site.place, log)
        try:
            assert _accepts(child, site.cluster), (folder / "log").read_text()
            yield f"postgresql://postgres:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            child.stop()
            rmtree(site.place)


def _initialise(site: Site, log) -> None:
    secret = site.place / "password-for-initdb"
    with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(PASSWORD)
    site.account.own(secret)
    site.cluster.mkdir(mode=0o700)
    site.account.own(site.cluster)
    command = [str(site.programs / "initdb"), "-D", str(site.cluster), "-U", "postgres", f"--pwfile={secret}"]
    command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    child = Child(command, site.account, site.place, log)
    try:
        assert child.wait(60) == 0, Path(log.name).read_text()
    finally:
        child.stop()
        secret.unlink()
