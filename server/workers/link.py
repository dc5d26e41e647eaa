"""Messages of a worker to its supervisor: regular signs of life, and other data that the supervisor needs."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

BEAT_S: Final = 0.25
# The longest message, such as all the metrics of a worker.
LONGEST_BYTES: Final = 4_194_304
Message = dict[str, Any]


class WorkerLink:
    """A worker's end: one line of JSON per message."""

    def __init__(self, end: socket.socket) -> None:
        """Write to `end` without blocking."""
        end.settimeout(0)
        self._end: Final = end
        self._unsent = b""

    def say(self, **message: Any) -> None:
        """Send a message, or drop it while an earlier one is unsent. Raises OSError when the supervisor is gone."""
        if not self._unsent:
            self._unsent = json.dumps(message).encode() + b"\n"
        with suppress(BlockingIOError):
            self._unsent = self._unsent[self._end.send(self._unsent) :]

    @asynccontextmanager
    async def beating(self, beat: Callable[[], Message], orphaned: Callable[[], None]) -> AsyncGenerator[None]:
        """Send what `beat` returns from the event loop for requests; call `orphaned` when the supervisor is gone."""
        beating = asyncio.create_task(self._beat(beat, orphaned))
        try:
            yield
        finally:
            beating.cancel()

    async def _beat(self, beat: Callable[[], Message], orphaned: Callable[[], None]) -> None:
        try:
            while True:
                self.say(**beat())
                await asyncio.sleep(BEAT_S)
        except OSError:
            orphaned()


async def messages(end: socket.socket, heard: Callable[[Message], None]) -> None:
    """Pass each message of a worker to `heard` until the worker ends."""
    reader, writer = await asyncio.open_connection(sock=end, limit=LONGEST_BYTES)
    try:
        with suppress(OSError):
            while line := await reader.readline():
                heard(json.loads(line))
    finally:
        writer.close()
