"""A worker process: one event loop for requests; the supervisor starts and watches it."""

import asyncio
import gc
import json
import signal
import socket
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

import uvicorn

from server.catalog.loading import load_catalog
from server.configuration import SERVING, load_settings
from server.errors import StartupError
from server.http.serving import server_config
from server.logs import configure_logs
from server.workers.link import Message, WorkerLink
from server.workers.live import LiveApplication
from server.workers.loads import Loads
from server.workers.renewal import Served
from server.workers.share import WorkerPlace
from server.workers.taking import Taking


class WorkerServer(uvicorn.Server):
    """uvicorn's server under a supervisor, on a socket shared with other workers."""

    def __init__(
        self, live: LiveApplication, place: WorkerPlace, listener: socket.socket, loads: Loads, link: WorkerLink
    ) -> None:
        """Serve `live`."""
        super().__init__(server_config(live))
        self._live: Final = live
        self._place: Final = place
        self._listener: Final = listener
        self._loads: Final = loads
        self._link: Final = link
        self._taking: Taking | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002  # uvicorn's own form
        """Begin to accept connections after the application has started."""
        await super().startup(sockets=[])
        self._taking = Taking(self._listener, self._connection, lambda: len(self.server_state.connections), self._loads)
        self._taking.start(self._place.worker)
        self.servers: Any = [self._taking]

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until SIGTERM, or until the supervisor is gone."""
        async with self._link.beating(self._beat, self._leave):
            await super().serve(sockets)

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Stop on SIGTERM, reload on SIGHUP, rotate on SIGUSR1; only the supervisor handles Ctrl+C."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._leave)
        loop.add_signal_handler(signal.SIGHUP, self._live.ask)
        loop.add_signal_handler(signal.SIGUSR1, self._live.rotate)
        yield

    def _connection(self) -> asyncio.Protocol:
        made: Any = self.config.http_protocol_class
        return made(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    def _leave(self) -> None:
        self.should_exit = True

    def _beat(self) -> Message:
        if self._taking is not None and not self.should_exit:
            self._taking.publish()
        return {"serving": self.started, "connections": len(self.server_state.connections)}


def run(place: WorkerPlace, listener: int, loads: int, end: int) -> None:
    """Serve in `place` until the supervisor ends it; `listener`, `loads` and `end` are inherited descriptors."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # The start creates no garbage; the application enables the collector again.
    gc.disable()
    configure_logs()
    link = WorkerLink(socket.socket(fileno=end))
    try:
        settings = load_settings(needs=SERVING)
        configure_logs(settings.telemetry.level)
        live = LiveApplication(Served(settings, load_catalog(settings.catalog)), place)
    except StartupError as error:
        link.say(failed=str(error))
        sys.exit(error.exit_code)
    server = WorkerServer(live, place, socket.socket(fileno=listener), Loads(loads, place.workers), link)
    try:
        server.run()
    finally:
        if live.failure is not None:
            link.say(failed=live.failure)


def main() -> None:
    """Run with the supervisor's command line arguments."""
    worker, workers, *descriptors = json.loads(sys.argv[1])
    run(WorkerPlace(worker, workers), *descriptors)
