"""Start one serving process from the settings, or several under a supervisor."""

import asyncio
import gc
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import structlog

from server.audit.notices import audit_notices
from server.catalog.loading import load_catalog
from server.doctor.beside import proof_beside
from server.errors import StartupError
from server.http.serving import SignalledServer, listen, server_config
from server.logs import configure_logs
from server.settings import Settings
from server.telemetry.sharing import gathering
from server.tenancy.limits import check_store

if TYPE_CHECKING:
    from server.workers.live import LiveApplication

_log: Final = structlog.get_logger("serving")


def serve(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM; raise StartupError when serving cannot start or isolation does not hold."""
    configure_logs(settings.telemetry.level)
    # Ignored until there is something to reload; otherwise SIGHUP would end the process.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    catalog = load_catalog(settings.catalog)
    check_store(settings.limits)
    # Prove here too, not only in the workers: this process can still end with one line and an exit code.
    with proof_beside(settings, catalog) as proof:
        # Load the libraries of the protocol while the proof runs.
        from server.workers.live import LiveApplication
        from server.workers.renewal import Served

        served = Served(settings, catalog)
        live = LiveApplication(served, first_proof=proof) if settings.workers == 1 else None
        proof()
    for notice in audit_notices(settings.audit):
        _log.warning("a notice about the audit trail", notice=notice)
    listener = listen(settings.host, settings.port)
    gc.enable()
    if live is None:
        from server.workers.supervisor import Supervisor

        with gathering(settings.telemetry):
            asyncio.run(Supervisor(served, listener).run())
    else:
        _serve_alone(live, listener)


class _Alone(SignalledServer):
    """The server of a single process: it also reloads on SIGHUP."""

    def __init__(self, live: "LiveApplication") -> None:
        super().__init__(server_config(live))
        self._live: Final = live

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        with super().capture_signals():
            asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._live.ask)
            yield


def _serve_alone(live: "LiveApplication", listener: socket.socket) -> None:
    try:
        _Alone(live).run(sockets=[listener])
    except SystemExit:
        if live.failure is not None:
            raise StartupError(live.failure) from None
        raise
