"""Servers with a hole, for the controls: each runs beside the real one for as long as its tool looks at it."""

import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from server.http.serving import listen


@contextmanager
def faulty_server(app: ASGIApp) -> Generator[str]:
    """Serve an application with uvicorn as it comes; yield its address."""

    async def quiet(scope: Scope, receive: Receive, send: Send) -> None:
        # Its failures are wanted, and would be found in the log of the real server.
        with suppress(Exception):
            await app(scope, receive, send)

    listener = listen("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(quiet, log_config=None, access_log=False, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            threading.Event().wait(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
