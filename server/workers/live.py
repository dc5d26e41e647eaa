"""The ASGI application of a serving process, which a reload can replace by a new one between two requests."""

import asyncio
from contextlib import AsyncExitStack
from typing import Final

import structlog
from anyio.to_thread import run_sync
from starlette.types import Receive, Scope, Send

from server.app import create_app
from server.doctor.proof import FirstProof
from server.errors import AuditError, StartupError
from server.http.garbage import freeze_garbage
from server.workers.generation import Generation
from server.workers.kept import Kept
from server.workers.renewal import NOT_RELOADED, Served, made, read_anew
from server.workers.share import WorkerPlace

# A replaced application is closed after its last request, or after this time: the longest statement has 60 s.
REPLACED_WITHIN_S: Final = 75.0
# When the process ends, requests have already been answered or cut off.
_CLOSED_WITHIN_S: Final = 4.0
_log: Final = structlog.get_logger("reload")


class LiveApplication:
    """Passes each request to the present application; `ask` requests a new one from the present files.

    The application that received a request also answers it. Nothing changes if the files have a mistake, isolation does
    not hold, or the database is down.
    """

    def __init__(self, served: Served, place: WorkerPlace | None = None, first_proof: FirstProof | None = None) -> None:
        """Make the first application; raises StartupError if that is not possible."""
        # Why the start failed, if it did.
        self.failure: str | None = None
        self._served = served
        self._place: Final = place or WorkerPlace()
        self._kept: Final = Kept.begun(served.settings)
        app = create_app(
            self._place.share(served.settings), catalog=served.catalog, first_proof=first_proof, kept=self._kept
        )
        self._now = Generation(app)
        self._asked: Final = asyncio.Event()
        self._leaving: Final = set[asyncio.Task[None]]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan of the process."""
        if scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            await self._now(scope, receive, send)

    def ask(self) -> None:
        """Request a reload and a new file of the trail; repeated requests before the reload count as one."""
        self._asked.set()

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        shown = AsyncExitStack()
        try:
            scope["state"].update(await self._now.start())
            await shown.enter_async_context(self._kept.shown(self._served.settings))
        except Exception as error:  # noqa: BLE001  # after any error, nothing can be served
            if not isinstance(error, StartupError):
                _log.exception("the application did not start")
            self._close_trail()
            self.failure = str(error) if isinstance(error, StartupError) else f"unexpected {type(error).__name__}"
            await send({"type": "lifespan.startup.failed", "message": self.failure})
            return
        reloading = asyncio.create_task(self._keep_reloading())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        reloading.cancel()
        await asyncio.wait((reloading,))
        await shown.aclose()
        await self._end()
        await send({"type": "lifespan.shutdown.complete"})

    async def _keep_reloading(self) -> None:
        while True:
            await self._asked.wait()
            self._asked.clear()
            self.rotate()
            try:
                await self._reload()
            except StartupError as error:
                _log.error(NOT_RELOADED, problem=str(error))
            except Exception:  # noqa: BLE001  # a defect of ours must not end the serving process
                _log.exception(NOT_RELOADED)

    async def _reload(self) -> None:
        # A process that has to stop does not wait for this.
        reading = await run_sync(read_anew, self._served, abandon_on_cancel=True)
        generation = Generation(await run_sync(made, reading, self._place, self._kept))
        await generation.start()
        former, self._now, self._served = self._now, generation, reading.served
        if reading.needs_restart:
            _log.warning("these settings change only with a restart", settings=list(reading.needs_restart))
        _log.info("reloaded", changed=list(reading.changed))
        leaving = asyncio.create_task(self._leave(former))
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _leave(self, former: Generation) -> None:
        try:
            await former.end(REPLACED_WITHIN_S)
        except Exception:  # noqa: BLE001  # its successor serves
            _log.exception("the replaced application was not closed properly")
        # Closing the old application has unfrozen the objects of the new one.
        freeze_garbage()

    async def _end(self) -> None:
        """Close everything, within the time that a stopping process has."""
        try:
            async with asyncio.timeout(_CLOSED_WITHIN_S):
                await self._now.end(0)
        except TimeoutError:
            _log.warning("the connections were not closed in time")
        for leaving in self._leaving:
            leaving.cancel()
        self._close_trail()

    def rotate(self) -> None:
        """Begin a new file of the trail."""
        if self._kept.trail:
            try:
                self._kept.trail.rotate()
            except AuditError as error:
                _log.critical("the audit trail cannot be written", cause=repr(error.__cause__))

    def _close_trail(self) -> None:
        """Sign the last records and close the trail: nothing is recorded after this."""
        if self._kept.trail:
            self._kept.trail.close()
