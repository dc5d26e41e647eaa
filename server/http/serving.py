"""From settings to a listening process: one socket, one or several workers, a clean stop."""

import gc
import socket
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Final

import structlog
import uvicorn
from starlette.applications import Starlette
from uvicorn.supervisors import Multiprocess

from server.audit.notices import audit_notices
from server.catalog.loading import load_catalog
from server.configuration import load_settings
from server.doctor.proof import require_isolation
from server.errors import StartupError
from server.http.connection import Connection
from server.logs import configure_logs
from server.settings import Settings
from server.tenancy.limits import check_store

DRAIN_S: Final = 10
_BACKLOG: Final = 2048
_TAKEN_PER_TURN: Final = 4
_RECEIVE_BUFFER_BYTES: Final = 65_536
_log: Final = structlog.get_logger("serving")


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
    """The same; signals are left to whoever runs it, so that several can share one event loop."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Install nothing."""
        yield


def server_config(app: Starlette | str, **options: Any) -> uvicorn.Config:
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
        **options,
    )


def application() -> Starlette:
    """Return the application of one worker process, from the settings that the first process has checked."""
    configure_logs()
    from server.app import create_app

    return create_app(load_settings())


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; raise StartupError when that cannot begin or isolation does not hold."""
    configure_logs()
    catalog = load_catalog(settings.catalog)
    check_store(settings.limits)
    # Here too, not in the workers alone: this process can still end with one line and its exit code.
    with ThreadPoolExecutor(1) as beside:
        proof = beside.submit(require_isolation, settings, catalog)
        # While the database is asked, the libraries of the protocol are loaded.
        from server.app import create_app

        app = create_app(settings, catalog=catalog, first_proof=proof.result) if settings.workers == 1 else None
        proof.result()
    for notice in audit_notices(settings.audit):
        _log.warning("about the audit trail", notice=notice)
    listener = listen(settings.host, settings.port)
    gc.enable()
    if app is not None:
        SignalledServer(server_config(app)).run(sockets=[listener])
        return
    config = server_config("server.http.serving:application", factory=True, workers=settings.workers)
    Multiprocess(config, sockets=doors(listener)).run()
