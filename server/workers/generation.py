"""One application while it serves: from the opening of its connections to the end of its last request."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send


class Generation:
    """Runs the lifespan of an application in a separate task, so that it can end while another one serves."""

    def __init__(self, app: Starlette) -> None:
        """Keep the application; `start` starts it."""
        self._app: Final = app
        self._calls = 0
        self._idle: Final = asyncio.Event()
        self._idle.set()
        self._ending: Final = asyncio.Event()
        self._life: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        self._calls += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._calls -= 1
            if not self._calls:
                self._idle.set()

    async def start(self) -> Mapping[str, Any]:
        """Start the lifespan and return its state; raises the error of a failed start."""
        started = asyncio.get_running_loop().create_future()
        self._life = asyncio.create_task(self._live(started))
        await asyncio.wait((self._life, started), return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            await self._life
        return started.result()

    async def end(self, drain_s: float) -> None:
        """Wait at most `drain_s` for the running requests, then close everything."""
        if self._calls:
            self._idle.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), drain_s)
        self._ending.set()
        if self._life is not None:
            await self._life

    async def _live(self, started: "asyncio.Future[Mapping[str, Any]]") -> None:
        async with self._app.router.lifespan_context(self._app) as state:
            started.set_result(state or {})
            await self._ending.wait()
