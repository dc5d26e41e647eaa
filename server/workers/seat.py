"""One place among the workers: it runs a process, and starts another one when that ends."""

import asyncio
import json
import signal
import socket
import sys
import time
from typing import Any, Final

import structlog

from server.workers.link import Message, messages
from server.workers.loads import Loads
from server.workers.share import WorkerPlace
from server.workers.vital_signs import VitalSigns

# If a worker served for this long before it ended, the next one starts at once.
_WELL_S: Final = 10.0
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_COMMAND: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); from server.workers.worker import main; main()"
)
_log: Final = structlog.get_logger("workers")


class Seat:
    """Keeps one worker running.

    `restarts` counts the workers after the first; `said` is the last message of the running worker; `failure` says why
    the first one could not start.
    """

    def __init__(self, place: WorkerPlace, listener: socket.socket, loads: Loads) -> None:
        """Prepare; `keep` starts the worker."""
        self.place: Final = place
        self.restarts = 0
        self.said: Message = {}
        self.failure: str | None = None
        self.has_served = False
        self._listener: Final = listener
        self._loads: Final = loads
        self._process: asyncio.subprocess.Process | None = None
        self._serving_at = 0.0
        # How many workers in a row ended before _WELL_S.
        self._unwell = 0
        self._stopping = asyncio.Event()
        # A reload was requested while a worker started, which may have read the old files.
        self._reload_due = False

    @property
    def serves(self) -> bool:
        """Whether the worker answers requests."""
        return bool(self.said.get("serving"))

    async def keep(self) -> None:
        """Run a worker, and another one whenever it ends, until `stop` or until the first one cannot start."""
        while not self._stopping.is_set():
            code = await self._run()
            self._loads.leave(self.place.worker)
            if self._stopping.is_set() or not self._goes_on(code):
                return
            self.restarts += 1
            await self._pause(self._pause_s())

    def reload(self) -> None:
        """Make the worker read settings and catalog again."""
        if self.serves:
            self._signal(signal.SIGHUP)
        else:
            self._reload_due = True

    def rotate(self) -> None:
        """Make the worker begin a new file of its trail, without a reload."""
        if self.serves:
            self._signal(signal.SIGUSR1)

    def stop(self) -> None:
        """Let the worker finish its requests, and start no other worker."""
        self._stopping.set()
        self._signal(signal.SIGTERM)

    def kill(self) -> bool:
        """End the worker at once; return False when none runs."""
        return self._signal(signal.SIGKILL)

    async def _run(self) -> int:
        ours, theirs = socket.socketpair()
        inherited = (self._listener.fileno(), self._loads.descriptor, theirs.fileno())
        where = json.dumps([self.place.worker, self.place.workers, *inherited])
        self.said = {}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _COMMAND,
            where,
            json.dumps(sys.path),
            pass_fds=inherited,
            stdin=asyncio.subprocess.DEVNULL,
        )
        theirs.close()
        if self._stopping.is_set():
            self._signal(signal.SIGTERM)
        self._signs = VitalSigns(self._process.pid, self._whose())
        listening = asyncio.create_task(messages(ours, self._hear))
        watching = asyncio.create_task(self._signs.watch(lambda: self._loads.leave(self.place.worker), self.kill))
        try:
            code = await self._process.wait()
            # Wait for its last message.
            await asyncio.wait((listening,), timeout=1)
            return code
        finally:
            watching.cancel()
            listening.cancel()

    def _hear(self, message: Message) -> None:
        self._signs.seen()
        was_serving, self.said = self.serves, message
        if self.serves and not was_serving:
            self.has_served, self._serving_at = True, time.monotonic()
            _log.info("a worker serves", **self._whose())
            if self._reload_due:
                self._reload_due = False
                self._signal(signal.SIGHUP)

    def _goes_on(self, code: int) -> bool:
        """Log how a worker ended; return whether another one is started."""
        lived_s = time.monotonic() - self._serving_at if self.serves else 0.0
        self._unwell = 0 if lived_s > _WELL_S else self._unwell + 1
        problem = self.said.get("failed")
        if not self.has_served:
            self.failure = str(problem or f"it ended with {_named(code)}; read its last lines in the log")
            return False
        _log.error("a worker ended; another one takes its place", **self._whose(), code=_named(code), problem=problem)
        return True

    def _pause_s(self) -> float:
        """Return how long to wait before the next worker, in seconds."""
        return min(_FIRST_PAUSE_S * 2 ** (self._unwell - 1), _LONGEST_PAUSE_S) if self._unwell else 0.0

    async def _pause(self, seconds: float) -> None:
        if seconds:
            _log.warning("workers end again and again; the next one waits", worker=self.place.worker, seconds=seconds)
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    def _signal(self, number: signal.Signals) -> bool:
        if self._process is None or self._process.returncode is not None:
            return False
        self._process.send_signal(number)
        return True

    def _whose(self) -> dict[str, Any]:
        process = self._process.pid if self._process else None
        return {"worker": self.place.worker, "process": process, "restarts": self.restarts}


def _named(code: int) -> str:
    """Return an exit code in words."""
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
