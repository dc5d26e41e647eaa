"""The numbers of a running server: read once per second on its event loop, and published by others."""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog

from server.telemetry.exposition import combined
from server.telemetry.histogram import Histogram
from server.telemetry.sharing import Sender
from server.telemetry.snapshot import Snapshot

# The event loop's lag is measured ten times per second; every tenth time, everything is read.
_LOOK_S: Final = 0.1
_LOOKS_PER_READING: Final = 10
# How much of the time for a stop a receiver that does not answer may use.
CLOSING_S: Final = 2.0
_log: Final = structlog.get_logger("telemetry")


class Reporting:
    """Keeps the last reading, and starts and stops what publishes it."""

    def __init__(self, read: Callable[[], Snapshot], lag: Histogram, sender: Sender | None = None) -> None:
        """Read with `read`, which must run on the event loop; `sender` gets each reading."""
        self.last: Snapshot = {}
        self._read: Final = read
        self._lag: Final = lag
        self._sender: Final = sender

    def text(self) -> str:
        """Return what a scrape of only this process reads."""
        return combined({0: self.last})

    @asynccontextmanager
    async def running(
        self, begins: Sequence[Callable[[], None]], ends: Sequence[Callable[[], None]]
    ) -> AsyncGenerator[None]:
        """Read while the server runs; call `begins` at the start, and `ends` at the end, for a limited time."""
        await self._publish()
        for begin in begins:
            begin()
        keeper = asyncio.create_task(self._keep())
        try:
            yield
        finally:
            keeper.cancel()
            await self._publish()
            if self._sender is not None:
                self._sender.close()
            if not await _within(CLOSING_S, ends):
                _log.warning("the last metrics could not be sent in time", seconds=CLOSING_S)

    async def _keep(self) -> None:
        while True:
            for _ in range(_LOOKS_PER_READING):
                due = time.perf_counter() + _LOOK_S
                await asyncio.sleep(_LOOK_S)
                self._lag.observe((), max(0.0, time.perf_counter() - due))
            await self._publish()

    async def _publish(self) -> None:
        try:
            self.last = self._read()
            if self._sender is not None:
                await self._sender.send(self.last)
        except Exception:  # noqa: BLE001  # a defect of ours; the server continues without its numbers
            _log.exception("the metrics could not be read")


async def _within(limit_s: float, works: Sequence[Callable[[], None]]) -> bool:
    """Call `works` in a thread that may be abandoned; return whether they ended in time."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def call() -> None:
        try:
            for work in works:
                work()
        finally:
            if not loop.is_closed():
                loop.call_soon_threadsafe(ended.set)

    # A daemon thread, so that the process does not wait for it either.
    threading.Thread(target=call, name="telemetry ends", daemon=True).start()
    try:
        async with asyncio.timeout(limit_s):
            await ended.wait()
    except TimeoutError:
        return False
    return True
