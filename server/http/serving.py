"""How every server of this project listens: one socket, connections with exact ends, a bounded stop."""

import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from server.errors import StartupError
from server.http.connection import Connection

DRAIN_S: Final = 10
_BACKLOG: Final = 2048
_TAKEN_PER_TURN: Final = 4
_RECEIVE_BUFFER_BYTES: Final = 65_536


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket; raise StartupError when the port is taken or not allowed."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Of each connection, also of those that wait for their turn: what the kernel keeps, and what is read at once.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise StartupError(
            f"cannot listen on {host}:{port} ({reason}); stop what uses it or choose another port"
        ) from None
    listener.set_inheritable(True)
    return listener


def doors(listener: socket.socket) -> list[socket.socket]:
    """Return the listening socket several times.

    uvloop takes one connection of each in a turn of its loop: with a single one, newcomers wait for minutes behind a
    flood that makes turns long.
    """
    return [listener, *(listener.dup() for _ in range(_TAKEN_PER_TURN - 1))]


class SignalledServer(uvicorn.Server):
    """uvicorn's server, which takes several new connections in each turn of its loop."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on each socket several times."""
        await super().startup([door for listener in sockets or () for door in doors(listener)])


class Server(SignalledServer):
    """The same; signals are left to its caller, so that several can share one event loop."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Install nothing."""
        yield


def server_config(app: ASGIApp) -> uvicorn.Config:
    """Return the configuration that every server of this project runs with."""
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=65_536,
        # The connections of an application with limits of its own say it for themselves.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=DRAIN_S,
    )
