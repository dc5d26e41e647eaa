"""Servers with a hole, for the controls: each runs beside the real one for as long as its tool looks at it."""

from collections.abc import Generator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from support.listening import listening


@contextmanager
def faulty_server(app: ASGIApp) -> Generator[str]:
    """Serve an application with uvicorn as it comes; yield its address."""

    async def quiet(scope: Scope, receive: Receive, send: Send) -> None:
        # Its failures are wanted, and would be found in the log of the real server.
        with suppress(Exception):
            await app(scope, receive, send)

    with listening(quiet, configured=_as_it_comes) as running:
        yield running.url


def _as_it_comes(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
