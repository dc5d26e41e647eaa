"""When a client leaves before its answer."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final

from starlette.types import Receive

_WATCHED_AFTER_S: Final = 0.05


class Departure:
    """Calls `leave` when the client goes, as long as this context is open."""

    __slots__ = ("_leave", "_receive", "_task", "_timer")

    def __init__(self, receive: Receive, leave: Callable[[], None]) -> None:
        """Watch what `receive` brings, once the whole body has come."""
        self._receive: Final = receive
        self._leave: Final = leave
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> None:
        # Most calls are over sooner, and need no task to watch over them.
        self._timer = asyncio.get_running_loop().call_later(_WATCHED_AFTER_S, self._begin)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._leave()


async def departed(receive: Receive, most_bytes: int) -> None:
    """Return when the client has left; what still comes of its body is dropped.

    More than `most_bytes` of it are not read: then this does not return.
    """
    dropped = 0
    while dropped <= most_bytes:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        dropped += len(message.get("body", b""))
    await asyncio.get_running_loop().create_future()
