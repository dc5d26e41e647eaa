"""Takes new connections of a socket that several workers share, so that each comes to have as many as the others."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any, Final

from server.workers.loads import Loads

# In one turn of the event loop: with a single one, newcomers wait behind a flood that makes turns long.
TAKEN_PER_TURN: Final = 4
# For each worker that has fewer connections: it takes the next one meanwhile, unless it is busy or does not answer.
_PATIENCE_S: Final = 0.003
# When this process may open no more files.
_EXHAUSTED_S: Final = 0.1


class Taking:
    """A server in the way of asyncio's: it takes connections from `start` to `close`.

    Whoever has the fewest connections takes the next one at once; the others wait a little first. So connections
    spread evenly, and those in the queue wait for nobody who is away: the queue is everybody's.
    """

    def __init__(
        self, listener: socket.socket, protocol: Callable[[], asyncio.Protocol], open_: Callable[[], int], loads: Loads
    ) -> None:
        """Take from `listener`; `open_` returns how many connections this worker has."""
        self._listener: Final = listener
        self._protocol: Final = protocol
        self._open: Final = open_
        self._loads: Final = loads
        self._loop: Final = asyncio.get_running_loop()
        self._coming: Final = set[asyncio.Task[Any]]()
        self._pause: asyncio.TimerHandle | None = None

    def start(self, worker: int) -> None:
        """Begin."""
        self._worker = worker
        self._listener.settimeout(0)
        self.publish()
        self._loop.add_reader(self._listener, self._ready)

    def publish(self) -> None:
        """Say how many connections this worker has; those that closed are noticed by nobody else."""
        self._loads.put(self._worker, self._open() + len(self._coming))

    def close(self) -> None:
        """Take no more."""
        self._loads.leave(self._worker)
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)

    async def wait_closed(self) -> None:
        """Wait for those that were taken and have not begun."""
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
        """Take one that nobody took meanwhile."""
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
        except OSError:  # whoever connected has left
            connection.close()
