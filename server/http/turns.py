"""Who is read next when more arrives than can be answered."""

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from typing import Final

# Each costs about 0.1 ms, and a call with a token takes some turns: this is what it may have to wait for in each.
PER_TURN: Final = 4


class Turns:
    """Lets connections without a token have a bounded part of each turn of the event loop.

    What is over it waits, and the sources are served in turn: one address with a thousand connections and one with a
    single connection wait for the same time.
    """

    def __init__(self, per_turn: int = PER_TURN) -> None:
        """Serve `per_turn` of them in each turn."""
        self._per_turn: Final = per_turn
        self._used = 0
        self._scheduled = False
        # The first source is served next.
        self._lines: Final[dict[Hashable, deque[Callable[[], None]]]] = {}

    def take(self) -> bool:
        """Whether this turn has room for one more; if so, it is taken."""
        self._schedule()
        if self._used >= self._per_turn or self._lines:
            return False
        self._used += 1
        return True

    def wait(self, source: Hashable, proceed: Callable[[], None]) -> None:
        """Call `proceed` in a later turn."""
        self._lines.setdefault(source, deque()).append(proceed)
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._next_turn)

    def _next_turn(self) -> None:
        self._scheduled, self._used = False, 0
        while self._lines and self._used < self._per_turn:
            self._used += 1
            source = next(iter(self._lines))
            line = self._lines.pop(source)
            proceed = line.popleft()
            if line:
                self._lines[source] = line
            proceed()
        if self._used:
            self._schedule()
