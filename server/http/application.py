"""The ASGI application: Starlette's, with one short way for the path that nearly all requests are for."""

from typing import Any, Final

from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send


class Application(Starlette):
    """Hands requests for the very path of the endpoint to `endpoint`; routes and middlewares see all others.

    The endpoint answers every method and every error itself, so that nothing of Starlette's is left out.
    """

    def __init__(self, path: str, endpoint: ASGIApp, **options: Any) -> None:
        """Take Starlette's options."""
        super().__init__(**options)
        self._path: Final = path
        self._endpoint: Final = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or live as long as the server."""
        if scope["type"] == "http" and scope["path"] == self._path and not scope.get("root_path"):
            await self._endpoint(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)
