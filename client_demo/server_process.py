"""The development server as a separate process: start it, get tokens from it, and always stop it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final
from urllib.parse import urljoin

import httpx2
import jwt

from client_demo.errors import ServerError

FOLDER_VARIABLE: Final = "TENANTGATE_DEV_FOLDER"
_SERVER: Final = (sys.executable, "-m", "server")
_STOP_PATIENCE_SECONDS: Final = 30
_PING_SECONDS: Final = 10


class DevServer:
    """A `tenantgate dev` that was started here and may not be ready yet."""

    def __init__(self, process: subprocess.Popen[str], folder: Path, log: IO[str]) -> None:
        """Keep the process, its data folder, and the file that its standard error goes to."""
        self._process = process
        self._folder = folder
        self._log = log

    def wait_until_ready(self) -> str:
        """Return the MCP address once the server is ready; raise ServerError with its message if it does not start."""
        assert self._process.stdout is not None  # noqa: S101  # it was made with a pipe
        line = self._process.stdout.readline()
        try:
            return str(json.loads(line)["mcp_url"])
        except (ValueError, KeyError, TypeError):
            self.stop()
            silent = f"The development server ended without a message; read its log in {self._folder}."
            raise ServerError(_last_line(self._log) or silent) from None

    def stop(self) -> None:
        """Ask the server to end and wait for it, so that no process is left."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def dev_server(folder: Path) -> Generator[DevServer]:
    """Start a development server on `folder` without waiting; stop it at the end in any case."""
    # A file, because an unread pipe would block the server once it is full.
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        process = subprocess.Popen(  # noqa: S603  # this program's own command
            [*_SERVER, "dev", "--json", "--port", "0"],
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            # Outside the terminal's process group: Ctrl-C goes to this process, which stops the server once.
            start_new_session=True,
        )
        with process:
            server = DevServer(process, folder, log)
            try:
                yield server
            finally:
                server.stop()


def running_address(folder: Path, person: str) -> str | None:
    """Return the MCP address of the development server that already runs on `folder`; None without one."""
    if not folder.is_dir():
        return None
    try:
        token = _token(folder, person)
    except ServerError:
        return None
    # A token names the protected resource that it is for (RFC 8707), which is the MCP address.
    address = str(jwt.decode(token, options={"verify_signature": False}).get("aud"))
    return address if _answers(address) else None


def tokens_of(people: Iterable[str], folder: Path) -> dict[str, str]:
    """Return an access token for each person from the development server on `folder`; ServerError if it refuses."""
    names = list(people)
    with ThreadPoolExecutor() as threads:
        return dict(zip(names, threads.map(_token, [folder] * len(names), names), strict=True))


def _token(folder: Path, person: str) -> str:
    done = subprocess.run(  # noqa: S603  # this program's own command
        [*_SERVER, "token", person], env=_environment(folder), capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ServerError(
            done.stderr.strip().rpartition("\n")[2]
            or f"No access token was issued for {person}; run `tenantgate token {person}` to see why."
        )
    return done.stdout.strip()


def _answers(address: str) -> bool:
    """Whether a server answers: a killed one leaves its files in the folder."""
    try:
        return httpx2.get(urljoin(address, "/ping"), timeout=_PING_SECONDS).is_success
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return False


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, FOLDER_VARIABLE: str(folder)}


def _last_line(log: IO[str]) -> str:
    log.seek(0)
    return log.read().strip().rpartition("\n")[2]
