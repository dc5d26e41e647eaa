"""A TCP proxy of the tests' own, whose connections can be cut, delayed and stalled."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Any


class Relay:
    """Passes bytes on to `target`, which may change, on an event loop and a thread of its own."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self.target = target
        # How long each piece of an answer waits.
        self.delay_s = 0.0
        self._loop = asyncio.new_event_loop()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._open: set[asyncio.StreamWriter] = set()

    @contextmanager
    def running(self) -> Generator["Relay"]:
        thread = threading.Thread(target=self._loop.run_forever, name="relay")
        thread.start()
        server = self._do(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            self.stall(on=False)
            server.close()
            self.cut()
            self._do(asyncio.sleep(0.1))
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    def cut(self) -> None:
        """End every connection that is open, with a reset."""
        self._loop.call_soon_threadsafe(self._cut)

    def stall(self, *, on: bool) -> None:
        """Hold everything back, or pass it on again."""
        self._loop.call_soon_threadsafe(self._flowing.clear if on else self._flowing.set)

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def _cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()

    async def _accept(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        try:
            far, forth = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            back.transport.abort()
            return
        self._open |= {back, forth}
        try:
            await asyncio.gather(self._pump(near, forth, answers=False), self._pump(far, back, answers=True))
        finally:
            self._open -= {back, forth}

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, answers: bool) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                await self._flowing.wait()
                if answers and self.delay_s:
                    await asyncio.sleep(self.delay_s)
                target.write(data)
                await target.drain()
        with suppress(OSError, RuntimeError):
            target.close()
