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
# How long a scrape in progress may delay the stop.
_STOPPED_WITHIN_S: Final = 2.0


class MetricsServer:
    """Answers in its own thread, so that the numbers are shown even while the server's event loop is busy."""

    def __init__(
        self,
        host: str,
        port: int,
        text: Callable[[], str],
        beside: Callable[[Starlette], AbstractAsyncContextManager[None]] | None = None,
    ) -> None:
        """Open the port; raise StartupError when that fails.

        `text` returns what a scrape reads, and any thread may call it; `beside` runs on the thread's event loop while
        the server does.
        """
        # Imported late: a module that imports this one need not load a server.
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
        """Start to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering; the port is free afterwards."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(_STOPPED_WITHIN_S)
        self._listener.close()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=self._server.config.get_loop_factory()) as runner:
            runner.run(self._server.serve(sockets=[self._listener]))
