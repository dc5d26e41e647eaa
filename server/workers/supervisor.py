"""The process that starts the workers, replaces those that end or stop answering, and forwards signals."""

import asyncio
import signal
import socket
from typing import Final

import structlog
from anyio.to_thread import run_sync

from server.errors import StartupError
from server.http.serving import DRAIN_S
from server.workers.loads import Loads
from server.workers.renewal import NOT_RELOADED, Served, read_anew
from server.workers.seat import Seat
from server.workers.share import WorkerPlace

# The time for workers to finish their requests, close their connections and sign the trail.
STOPPED_WITHIN_S: Final = DRAIN_S + 5.0
_log: Final = structlog.get_logger("workers")


class Supervisor:
    """Keeps the workers of `seats` running until SIGTERM or SIGINT; it handles no requests and sees none of them."""

    def __init__(self, served: Served, listener: socket.socket) -> None:
        """Prepare a seat for each worker; all of them accept connections from `listener`."""
        workers = served.settings.workers
        self._served = served
        self._loads: Final = Loads.begun(workers)
        self.seats: Final = tuple(
            Seat(WorkerPlace(worker, workers), listener, self._loads) for worker in range(workers)
        )
        self._stopping: Final = asyncio.Event()
        self._asked: Final = asyncio.Event()

    async def run(self) -> None:
        """Supervise until a signal to stop; raises StartupError when a worker cannot start at the beginning."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._asked.set)
        reloading = asyncio.create_task(self._keep_reloading())
        stopped = asyncio.create_task(self._stopping.wait())
        kept = [asyncio.create_task(seat.keep()) for seat in self.seats]
        # If one seat fails at the start, the others end too.
        await asyncio.wait((stopped, *kept), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        reloading.cancel()
        await self._end(kept)
        if failures := sorted({seat.failure for seat in self.seats if seat.failure}):
            raise StartupError(f"a worker could not start: {' | '.join(failures)}")

    async def _end(self, kept: list[asyncio.Task[None]]) -> None:
        for seat in self.seats:
            seat.stop()
        _, late = await asyncio.wait(kept, timeout=STOPPED_WITHIN_S)
        killed = [seat.place.worker for seat in self.seats if late and seat.kill()]
        if killed:
            _log.error("workers that did not stop in time were ended", workers=killed)
        await asyncio.gather(*kept)

    def _stop(self) -> None:
        if self._stopping.is_set():
            # A second signal ends the workers at once.
            for seat in self.seats:
                seat.kill()
        self._stopping.set()

    async def _keep_reloading(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                await self._reload()
            except StartupError as error:
                _log.error(NOT_RELOADED, problem=str(error))
            except Exception:  # noqa: BLE001  # a defect of ours must not end the supervisor
                _log.exception(NOT_RELOADED)
            else:
                continue
            for seat in self.seats:
                seat.rotate()

    async def _reload(self) -> None:
        """Check the new files, then make the workers reload: so only this process reports a mistake."""
        reading = await run_sync(read_anew, self._served, abandon_on_cancel=True)
        self._served = reading.served
        for seat in self.seats:
            seat.reload()
