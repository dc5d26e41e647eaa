"""One place among the workers: a process is in it, and another one takes its place when that ends."""

import asyncio
import json
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any, Final

import structlog

from server.workers.link import Message, messages
from server.workers.loads import Loads
from server.workers.share import Place

# Without a sign of life for this long, a worker no longer answers.
NOTICED_S: Final = 1.75
# It is given up after this long where it does nothing at all, and after the longer time where it is busy: on a machine
# that has far too much to do, a worker that answers is late, and one that starts in its place would be later still.
GIVEN_UP_S: Final = 4.0
GIVEN_UP_BUSY_S: Final = 12.0
_LOOKED_AT_S: Final = 0.25
# Isolation is proved at the start, and a large database takes its time.
_STARTED_WITHIN_S: Final = 120.0
# A worker that served for this long was well: the next one is started at once.
_WELL_S: Final = 10.0
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_COMMAND: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop()); from server.workers.worker import main; main()"
)
_log: Final = structlog.get_logger("workers")


class Seat:
    """Keeps one worker running.

    `restarts` counts those that took the place of another; `said` is the last message of the one that runs; `failure`
    is why the first one could not start.
    """

    def __init__(self, place: Place, listener: socket.socket, loads: Loads) -> None:
        """Start nothing yet."""
        self.place: Final = place
        self.restarts = 0
        self.said: Message = {}
        self.failure: str | None = None
        self.has_served = False
        self._listener: Final = listener
        self._loads: Final = loads
        self._process: asyncio.subprocess.Process | None = None
        self._started_at = self._beat_at = self._serving_at = 0.0
        # How many have ended one after the other before they were well.
        self._unwell = 0
        self._stopping = asyncio.Event()
        # Asked while a worker starts, which may have read the files before.
        self._reload_due = False

    @property
    def serves(self) -> bool:
        """Whether the worker answers requests."""
        return bool(self.said.get("serving"))

    async def keep(self) -> None:
        """Run a worker, and another one whenever it ends, until `stop`, or until the very first cannot start."""
        while not self._stopping.is_set():
            code = await self._run()
            self._loads.leave(self.place.worker)
            if self._stopping.is_set() or not self._goes_on(code):
                return
            self.restarts += 1
            await self._pause(self._pause_s())

    def reload(self) -> None:
        """Have the worker read settings and catalog again."""
        if self.serves:
            self._signal(signal.SIGHUP)
        else:
            self._reload_due = True

    def rotate(self) -> None:
        """Have the worker begin a new file of its trail, and nothing else."""
        if self.serves:
            self._signal(signal.SIGUSR1)

    def stop(self) -> None:
        """Let the worker answer what it has begun, and start no other."""
        self._stopping.set()
        self._signal(signal.SIGTERM)

    def kill(self) -> bool:
        """End the worker at once; False where none runs."""
        return self._signal(signal.SIGKILL)

    async def _run(self) -> int:
        ours, theirs = socket.socketpair()
        inherited = (self._listener.fileno(), self._loads.descriptor, theirs.fileno())
        where = json.dumps([self.place.worker, self.place.workers, *inherited])
        self.said, self._started_at = {}, time.monotonic()
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
        listening, watching = asyncio.create_task(messages(ours, self._hear)), asyncio.create_task(self._watch())
        try:
            code = await self._process.wait()
            # What it said last is still on the way.
            await asyncio.wait((listening,), timeout=1)
            return code
        finally:
            watching.cancel()
            listening.cancel()

    def _hear(self, message: Message) -> None:
        self._beat_at = time.monotonic()
        was_serving, self.said = self.serves, message
        if self.serves and not was_serving:
            self.has_served, self._serving_at = True, self._beat_at
            _log.info("a worker serves", **self._whose())
            if self._reload_due:
                self._reload_due = False
                self._signal(signal.SIGHUP)

    async def _watch(self) -> None:
        noticed: int | None = None
        while True:
            before = time.monotonic()
            await asyncio.sleep(_LOOKED_AT_S)
            now = time.monotonic()
            if now - before > 2 * _LOOKED_AT_S:
                # This process itself was held up: what was said meanwhile is heard first.
                self._beat_at = now
            if self.said:
                noticed = self._judge(now - self._beat_at, noticed)
            elif now - self._started_at > _STARTED_WITHIN_S:
                _log.error("a worker does not start in time and is ended", **self._whose())
                self.kill()

    def _judge(self, silent_s: float, noticed: int | None) -> int | None:
        """End a worker that has not answered for too long; return what it had worked when that was noticed."""
        if silent_s <= NOTICED_S:
            if noticed is not None:
                _log.warning("a worker answers again", **self._whose())
            return None
        worked = self._worked()
        if noticed is None:
            self._loads.leave(self.place.worker)
            _log.warning("a worker does not answer", **self._whose())
        elif silent_s > (GIVEN_UP_S if worked == noticed else GIVEN_UP_BUSY_S):
            _log.error("a worker does not answer and is ended", **self._whose())
            self.kill()
        return worked if noticed is None else noticed

    def _worked(self) -> int:
        """Return the CPU time of the worker so far, in ticks; 0 where the system does not tell."""
        try:
            fields = Path(f"/proc/{self._process.pid if self._process else 0}/stat").read_text(encoding="utf-8")
        except OSError:
            return 0
        user, system = fields.rpartition(")")[2].split()[11:13]
        return int(user) + int(system)

    def _goes_on(self, code: int) -> bool:
        """Say how a worker ended, and whether another one is started."""
        lived_s = time.monotonic() - self._serving_at if self.serves else 0.0
        self._unwell = 0 if lived_s > _WELL_S else self._unwell + 1
        problem = self.said.get("failed")
        if not self.has_served:
            self.failure = str(problem or f"it ended with {_named(code)}; its last lines in the log say why")
            return False
        _log.error("a worker ended; another one takes its place", **self._whose(), code=_named(code), problem=problem)
        return True

    def _pause_s(self) -> float:
        """Return how long to wait before the next one."""
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
