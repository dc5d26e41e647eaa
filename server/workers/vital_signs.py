"""Whether a worker still answers: four times per second, its event loop for requests sends a sign of life."""

import asyncio
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import structlog

# Without a sign of life for this long, a worker no longer answers.
NOTICED_S: Final = 1.75
# A worker is ended after the first time if it uses no CPU, and after the second if it does. On an overloaded machine,
# a worker that answers is late, and a new one would be even later.
GIVEN_UP_S: Final = 4.0
GIVEN_UP_BUSY_S: Final = 12.0
_LOOKED_AT_S: Final = 0.25
# Isolation is proved at the start, which takes long on a large database.
_STARTED_WITHIN_S: Final = 120.0
_log: Final = structlog.get_logger("workers")


class VitalSigns:
    """The signs of life of one process."""

    def __init__(self, process: int, whose: Mapping[str, Any]) -> None:
        """Watch a process that was just started; `whose` names it in the log."""
        self._process: Final = process
        self._whose: Final = whose
        self._started_at: Final = time.monotonic()
        self._seen_at: float | None = None

    def seen(self) -> None:
        """Record a sign of life."""
        self._seen_at = time.monotonic()

    async def watch(self, noticed: Callable[[], object], given_up: Callable[[], object]) -> None:
        """Call `noticed` when the worker stops answering, and `given_up` when that lasts too long."""
        worked: int | None = None
        while True:
            before = time.monotonic()
            await asyncio.sleep(_LOOKED_AT_S)
            now = time.monotonic()
            if now - before > 2 * _LOOKED_AT_S and self._seen_at is not None:
                # This process itself was delayed: read the waiting messages first.
                self._seen_at = now
            if self._seen_at is not None:
                worked = self._judge(now - self._seen_at, worked, noticed, given_up)
            elif now - self._started_at > _STARTED_WITHIN_S:
                _log.error("a worker does not start in time and is ended", **self._whose)
                given_up()

    def _judge(
        self, silent_s: float, worked: int | None, noticed: Callable[[], object], given_up: Callable[[], object]
    ) -> int | None:
        """Return the CPU ticks of the worker when it stopped answering, None while it answers."""
        if silent_s <= NOTICED_S:
            if worked is not None:
                _log.warning("a worker answers again", **self._whose)
            return None
        works = cpu_ticks(self._process)
        if worked is None:
            noticed()
            _log.warning("a worker does not answer", **self._whose)
            return works
        if silent_s > (GIVEN_UP_S if works == worked else GIVEN_UP_BUSY_S):
            _log.error("a worker does not answer and is ended", **self._whose)
            given_up()
        return worked


def cpu_ticks(process: int) -> int:
    """Return the CPU time that a process has used, in ticks; 0 if the system has no /proc."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0
    user, system = fields[11:13]
    return int(user) + int(system)
