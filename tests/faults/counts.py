"""A shared count of limits in a server of its own, which can be killed and started again."""

import shutil
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from support.ports import free_port

PROGRAMS = ("valkey-server", "redis-server")


def program() -> str | None:
    """Return the server that is installed here, None where there is none."""
    return next(
        (found for name in PROGRAMS if (found := shutil.which(name, path="/usr/bin:/usr/sbin:/usr/local/bin"))), None
    )


class Counts:
    """Listens on one port, whenever it runs."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"valkey://127.0.0.1:{self.port}"

    @contextmanager
    def running(self) -> Generator["Counts"]:
        self.start()
        try:
            yield self
        finally:
            self.kill()

    def start(self) -> None:
        command = [program() or "", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        with (self._folder / "counts.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self._folder)
        time.sleep(0.3)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
