"""The one way to serve in a thread of this process: an ASGI application, settings, or a whole development stack."""

import asyncio
import socket
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.types import ASGIApp

from server.app import create_app
from server.catalog.parts import Clock, utc_now
from server.dev.stack import Stack
from server.http.serving import Server, listen, server_config
from server.settings import Settings

_START_S = 20


@dataclass(frozen=True)
class Listening:
    """A server that answers: the number of its port, and the thread of its event loop."""

    port: int
    thread: int

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The address, without a slash at the end."""
        return f"http://{self.host}"


def bound() -> tuple[socket.socket, str]:
    """Return a socket on a free port of loopback and its address, for an application that must know it first."""
    listener = listen("127.0.0.1", 0)
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def listening(
    app: ASGIApp,
    listener: socket.socket | None = None,
    configured: Callable[[ASGIApp], uvicorn.Config] = server_config,
) -> Generator[Listening]:
    """Serve an application as `tenantgate serve` does, on a free port of loopback or on a socket that is bound."""
    listener = listener or bound()[0]
    server = Server(configured(app))

    def stop() -> None:
        server.should_exit = True

    with listener, _thread(lambda: server.run(sockets=[listener]), stop) as thread:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            thread.join(0.01)
        yield Listening(listener.getsockname()[1], thread.ident or 0)


@contextmanager
def serving(settings: Settings, clock: Clock = utc_now, allowed_hosts: Sequence[str] = ()) -> Generator[Listening]:
    """Serve these settings; the one allowed host is the address that is chosen, unless others are given."""
    listener, url = bound()
    hosts = tuple(allowed_hosts) or (url.removeprefix("http://"),)
    with (
        listener,  # closed too where the settings make no application
        listening(create_app(settings.model_copy(update={"allowed_hosts": hosts}), clock), listener) as running,
    ):
        yield running


@contextmanager
def stack_running(stack: Stack) -> Generator[None]:
    """Run the servers of a development stack."""
    ready = threading.Event()

    def run() -> None:
        with asyncio.Runner(loop_factory=stack.loop_factory) as runner:
            runner.run(stack.run(ready.set))

    with _thread(run, stack.stop):
        assert ready.wait(_START_S), "the development stack did not start"
        yield


@contextmanager
def _thread(run: Callable[[], None], stop: Callable[[], None]) -> Generator[threading.Thread]:
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield thread
    finally:
        stop()
        thread.join()
