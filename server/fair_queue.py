"""Fair turns: which waiting holder gets the next free place of a bounded resource, such as a database connection.

A free place goes to the waiting holder with the fewest places; of several, to the one whose calls took the least time
so far. So each of N busy holders gets about 1/N of the places' time, for any number and length of its calls. One
holder never has all places, so a newcomer need not wait for a whole call.
"""

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import suppress
from typing import Final

from server.errors import LimitError, UnavailableError

WAIT_S: Final = 1.5
# For one holder. Further calls are refused at once, to be retried later.
WAITING: Final = 100
_RETRY_AFTER_S: Final = 2
_OWN: Final = "This {} has too many calls running at once; nothing was read. Retry in a few seconds."
_OTHERS: Final = "The server is busy; nothing was read. Retry in a few seconds."
# With fewer entries than this, nothing is cleaned up.
_FEW: Final = 1_000
# The callers of a line in which nobody has waited yet: most lines end before anybody does.
_NOBODY: Final = deque[asyncio.Future[None]]()


class _Line:
    """One holder: its places, the time that its calls took, and its waiting calls."""

    __slots__ = ("held", "used_s", "waiting")

    def __init__(self, used_s: float) -> None:
        self.held = 0
        self.used_s = used_s
        self.waiting: deque[asyncio.Future[None]] = _NOBODY


class Place:
    """A place that is held until it is given back; giving it back again does nothing."""

    __slots__ = ("_line", "_returned", "_since_s")

    def __init__(self, returned: Callable[[_Line, float], None], line: _Line, since_s: float) -> None:
        self._returned: Final = returned
        self._line: _Line | None = line
        self._since_s: Final = since_s

    def give_back(self, _ended: object = None) -> None:
        """Give the place to the next call; can also be the callback of a task or future that has ended."""
        line, self._line = self._line, None
        if line is not None:
            self._returned(line, self._since_s)


class FairQueue:
    """The places of one resource, on one event loop."""

    def __init__(
        self,
        places: int,
        most: int | None = None,
        *,
        whose: str = "tenant",
        wait_s: float = WAIT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Share out `places`, at most `most` to one holder (by default three quarters, and never all of several).

        `whose` is the word for a holder in errors.
        """
        self._places: Final = places
        self._free = places
        self._most: Final = min(-(-places * 3 // 4) if most is None else most, max(1, places - 1))
        self._whose: Final = whose
        self._wait_s: Final = wait_s
        self._clock: Final = clock
        self._lines: Final = dict[Hashable, _Line]()
        self._kept = _FEW
        # Since the start: calls whose turn did not come in time, and calls that were refused at once.
        self.timeouts = 0
        self.refused = 0
        # Lines that may be next. An entry whose values differ from its line's is outdated and is skipped.
        self._turns = list[tuple[int, float, int, _Line]]()
        self._number = 0
        self._waiting_lines = 0
        # The used time of the line served last: a holder that was not waiting gains no advantage from that.
        self._served_s = 0.0

    @property
    def waiting(self) -> int:
        """How many calls wait for their turn now."""
        return sum(len(line.waiting) for line in self._lines.values()) if self._waiting_lines else 0

    async def take(self, holder: Hashable) -> Place:
        """Return a place for `holder`, in its turn.

        Raises LimitError when too many of its calls already wait, and UnavailableError when no place is free in time.
        """
        line = self._line(holder)
        if not line.waiting:
            line.used_s = max(line.used_s, self._served_s)
        if self._free and line.held < self._most:
            self._hand_out(line)
            return Place(self._returned, line, self._clock())
        if len(line.waiting) >= WAITING:
            self.refused += 1
            raise LimitError(self._whose, _RETRY_AFTER_S)
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        if line.waiting is _NOBODY:
            line.waiting = deque[asyncio.Future[None]]()
        line.waiting.append(turn)
        if len(line.waiting) == 1:
            self._waiting_lines += 1
            self._may_be_next(line)
        # Not asyncio.timeout, which costs as much as all the rest of waiting.
        timer = loop.call_later(self._wait_s, _expire, turn)
        try:
            await turn
        except BaseException as error:
            self._leave(line, turn)
            if isinstance(error, TimeoutError):
                self.timeouts += 1
                raise UnavailableError(_OWN.format(self._whose) if line.held else _OTHERS) from error
            raise
        finally:
            timer.cancel()
        return Place(self._returned, line, self._clock())

    def _line(self, holder: Hashable) -> _Line:
        line = self._lines.get(holder)
        if line is None:
            if len(self._lines) >= self._kept:
                self._forget_idle()
            line = self._lines[holder] = _Line(self._served_s)
        return line

    def _hand_out(self, line: _Line) -> None:
        self._free -= 1
        line.held += 1
        self._served_s = line.used_s

    def _returned(self, line: _Line, since_s: float) -> None:
        line.held -= 1
        line.used_s += self._clock() - since_s
        self._free += 1
        if self._waiting_lines:
            self._may_be_next(line)
            self._serve()
        elif self._free == self._places:
            # No place is held, so there is nothing to remember for fairness.
            self._lines.clear()
            self._turns.clear()
            self._served_s = 0.0

    def _leave(self, line: _Line, turn: "asyncio.Future[None]") -> None:
        """Remove a caller that no longer waits; a place that it was just given goes to the next."""
        if turn.done() and not turn.cancelled() and turn.exception() is None:
            self._returned(line, self._clock())
            return
        with suppress(ValueError):
            line.waiting.remove(turn)
            self._waiting_lines -= not line.waiting

    def _may_be_next(self, line: _Line) -> None:
        if line.waiting and line.held < self._most:
            self._number += 1
            heapq.heappush(self._turns, (line.held, line.used_s, self._number, line))

    def _serve(self) -> None:
        """Give out the free places, in turn."""
        while self._free and self._turns:
            held, used_s, _, line = heapq.heappop(self._turns)
            if not line.waiting or (held, used_s) != (line.held, line.used_s):
                continue
            turn = line.waiting.popleft()
            self._waiting_lines -= not line.waiting
            if not turn.done():
                self._hand_out(line)
                turn.set_result(None)
            self._may_be_next(line)
        if len(self._turns) > 4 * self._waiting_lines + _FEW:
            self._turns = [one for one in self._turns if one[:2] == (one[3].held, one[3].used_s) and one[3].waiting]
            heapq.heapify(self._turns)

    def _forget_idle(self) -> None:
        """Forget the holders without places or waiting calls that would start like newcomers."""
        for holder in [
            name
            for name, line in self._lines.items()
            if not (line.held or line.waiting) and line.used_s <= self._served_s
        ]:
            del self._lines[holder]
        self._kept = max(_FEW, 2 * len(self._lines))


def _expire(turn: asyncio.Future[None]) -> None:
    if not turn.done():
        turn.set_exception(TimeoutError("no place came free in time"))
