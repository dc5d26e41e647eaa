"""The port that Prometheus scrapes: GET /metrics, and nothing else."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.telemetry.exposition import CONTENT_TYPE

PATH: Final = "/metrics"
# Longer for a scrape that is being read; then it is broken off with the process.
_STOPPED_WITHIN_S: Final = 2.0


class MetricsServer:
    """Answers from a thread of its own, so that a busy event loop of the server still shows its numbers."""

    def __init__(
        self,
        host: str,
        port: int,
        text: Callable[[], str],
        beside: Callable[[Starlette], AbstractAsyncContextManager[None]] | None = None,
    ) -> None:
        """Take the port; raises StartupError where that fails.

        `text` returns what a scrape reads, and may be called by any thread; `beside` runs on the thread's event loop as
        long as the server does.
        """
        # Only here: whatever imports this module need not load a server.
        from server.http.serving import Server, listen, server_config

        async def metrics(_request: Request) -> Response:
            return Response(text(), media_type=CONTENT_TYPE)

        app = Starlette(routes=[Route(PATH, metrics, methods=["GET"])], lifespan=beside)
        app.router.redirect_slashes = False
        self._listener: Final = listen(host, port)
        self.port: Final[int] = self._listener.getsockname()[1]
        self._server: Final = Server(server_config(app))
        self._thread: Final = threading.Thread(target=self._run, name="metrics", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Answer no more; the port is free afterwards."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_STOPPED_WITHIN_S)
        self._listener.close()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._server.config.get_loop_factory()) as runner:
            runner.run(self._server.serve(sockets=[self._listener]))
