"""One endpoint for several workers: each sends its numbers every second to their parent process.

They are sent through a Unix socket in a folder that nobody else can enter. When a connection ends, its worker has
ended, however that happened; its counts are kept.
"""

import asyncio
import os
import struct
import tempfile
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog
from starlette.applications import Starlette

from server.settings import TelemetrySettings
from server.telemetry.endpoint import MetricsServer
from server.telemetry.exposition import combined
from server.telemetry.snapshot import Snapshot, added, decoded, encoded, fallen

# Names the socket to a worker; not a setting.
VARIABLE: Final = "TENANTGATE_METRICS_SOCKET"
_MAXIMUM_BYTES: Final = 8_388_608
_LENGTH: Final = struct.Struct(">I")
_log: Final = structlog.get_logger("telemetry")


class Gathered:
    """The last numbers of each worker, and the sum of those that ended."""

    def __init__(self) -> None:
        """Begin with no worker."""
        self.workers: Final = dict[int, Snapshot]()
        self.departed: Snapshot = {}
        self.ended = 0
        self._connected: Final = set[int]()

    def text(self) -> str:
        """Return what a scrape reads."""
        return combined(dict(self.workers), self.departed, self.ended)

    @asynccontextmanager
    async def listening(self, socket: str) -> AsyncGenerator[None]:
        """Receive what workers send."""
        server = await asyncio.start_unix_server(self._worker, socket)
        try:
            yield
        finally:
            server.close()

    async def _worker(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(one for one in range(len(self._connected) + 1) if one not in self._connected)
        self._connected.add(number)
        try:
            while True:
                (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
                if length > _MAXIMUM_BYTES:
                    return
                self._take(number, decoded(await reader.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the worker ended, or this process does
        except ValueError:
            _log.exception("a worker sent data that is not metrics")
        finally:
            self._connected.discard(number)
            if (last := self.workers.pop(number, None)) is not None:
                self.departed = added([self.departed, last])
                self.ended += 1
            writer.close()

    def _take(self, number: int, snapshot: Snapshot) -> None:
        """Keep a worker's numbers; those that a reload reset are added to its earlier ones."""
        if (last := self.workers.get(number)) is not None:
            self.departed = added([self.departed, fallen(last, snapshot)])
        self.workers[number] = snapshot


class Sender:
    """Sends a worker's numbers; they are dropped while nobody receives them."""

    def __init__(self, socket: str) -> None:
        """Connect when there is something to send."""
        self._socket: Final = socket
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, snapshot: Snapshot) -> None:
        """Send one snapshot, or drop it."""
        try:
            if self._writer is None or self._writer.is_closing():
                _, self._writer = await asyncio.open_unix_connection(self._socket)
            if self._writer.transport.get_write_buffer_size():
                return
            data = encoded(snapshot)
            self._writer.write(_LENGTH.pack(len(data)) + data)
        except OSError:
            self.close()

    def close(self) -> None:
        """Stop sending."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


@contextmanager
def gathering(settings: TelemetrySettings) -> Generator[None]:
    """Serve one endpoint for all workers that start meanwhile; do nothing without a port.

    Raises StartupError when the port is in use.
    """
    if settings.metrics_port is None:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="tenantgate-") as folder:
        socket = str(Path(folder) / "metrics")
        gathered = Gathered()

        @asynccontextmanager
        async def beside(_app: Starlette) -> AsyncGenerator[None]:
            async with gathered.listening(socket):
                yield

        server = MetricsServer(settings.metrics_host, settings.metrics_port, gathered.text, beside)
        server.start()
        os.environ[VARIABLE] = socket
        try:
            yield
        finally:
            del os.environ[VARIABLE]
            server.stop()
            with suppress(FileNotFoundError):
                os.unlink(socket)  # noqa: PTH108
