"""Accept connections from a socket that several workers share, so that all workers get equally many."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

from server.workers.loads import Loads

# Connections per turn of the event loop. With one, new clients would wait too long when a flood makes turns slow.
TAKEN_PER_TURN: Final = 4
# The wait for each worker with fewer connections: that one takes the next connection, unless it is busy or hangs.
_PATIENCE_S: Final = 0.003
# The wait when this process cannot open more files.
_EXHAUSTED_S: Final = 0.1


class Taking:
    """A server like asyncio's: it accepts connections from `start` to `close`.

    The worker with the fewest connections accepts the next one at once; the others wait a little first. So connections
    spread evenly. All workers share the queue, so a connection in it does not wait for a worker that hangs.
    """

    def __init__(
        self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol], open_: Callable[[], int], loads: Loads
    ) -> None:
        """Accept from `listener`; `open_` returns how many connections this worker has."""
        self._listener: Final = listener
        self._protocol: Final = protocol
        self._open: Final = open_
        self._loads: Final = loads
        self._loop: Final = asyncio.get_running_loop()
        self._coming: Final = set[asyncio.Task[Any]]()
        self._pause: asyncio.TimerHandle | None = None

    def start(self, worker: int) -> None:
        """Begin to accept connections as the worker with this number."""
        self._worker = worker
        self._listener.settimeout(0)
        self.publish()
        self._loop.add_reader(self._listener, self._ready)

    def publish(self) -> None:
        """Publish how many connections this worker has, which only this worker knows."""
        self._loads.put(self._worker, self._open() + len(self._coming))

    def close(self) -> None:
        """Accept no more connections."""
        self._loads.leave(self._worker)
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)

    async def wait_closed(self) -> None:
        """Wait until all accepted connections have begun."""
        if self._coming:
            await asyncio.wait(self._coming)

    def _ready(self) -> None:
        for _ in range(TAKEN_PER_TURN):
            self.publish()
            before = self._loads.before(self._worker)
            if before:
                self._wait(before * _PATIENCE_S)
                return
            if not self._take():
                return

    def _wait(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener)
        self._pause = self._loop.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        """Accept a connection that no other worker took meanwhile."""
        self._pause = None
        self._loop.add_reader(self._listener, self._ready)
        self._take()

    def _take(self) -> bool:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return False
        except OSError:
            self._wait(_EXHAUSTED_S)
            return False
        connection.settimeout(0)
        begun = self._loop.create_task(self._begin(connection))
        self._coming.add(begun)
        begun.add_done_callback(self._coming.discard)
        return True

    async def _begin(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError:  # the client has left
            connection.close()
