"""The pace of refusals: the first one over a budget is sent at once, further ones are delayed.

A refusal costs less than an answer, but a thousand per second slow down every other caller. A client that waits for
its answer before it sends again is slowed down by a late answer. No place, pool connection or lock is held meanwhile.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Final

# The time between two refusals of one person, and the longest that one is held.
GAP_S: Final = 0.02
MOST_S: Final = 4.0
# The most that are held at once: per person, which is also their share of connections, and in all.
PER_PERSON: Final = 256
IN_ALL: Final = 1_024
# Steps of this part of a whole fill it evenly, wherever one stops.
_GOLDEN: Final = 0.618034


class PacedRefusals:
    """Holds refusals back; `held` is how many now, `unheld` how many were not for want of room, since the start."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Hold nothing yet."""
        self.held = 0
        self.unheld = 0
        self._spread = 0.0
        self._clock: Final = clock
        # When the next refusal of each person may leave, as long as that is to come.
        self._next_s: Final = OrderedDict[Hashable, float]()
        self._held_of: Final = dict[Hashable, int]()

    async def wait(self, person: Hashable, left: Callable[[], Awaitable[None]]) -> bool:
        """Return True when a refusal of `person` may leave: in its turn, or as soon as `left` returns.

        False: too many are held already, so that this one should leave at once and its connection be closed.
        """
        now_s = self._clock()
        self._forget(now_s)
        turn_s = max(now_s, self._next_s.get(person, now_s))
        if turn_s > now_s and (self.held >= IN_ALL or self._held_of.get(person, 0) >= PER_PERSON):
            self.unheld += 1
            return False
        self._next_s[person] = min(turn_s + GAP_S, now_s + 2 * MOST_S)
        self._next_s.move_to_end(person)
        if turn_s > now_s:
            wait_s = turn_s - now_s
            await self._hold(person, wait_s if wait_s <= MOST_S else self._spread_s(), left)
        return True

    def _spread_s(self) -> float:
        """Return a time to wait where turns are too far away: never the same, since all will be back after it."""
        self._spread = (self._spread + _GOLDEN) % 1
        return MOST_S * (1 - self._spread / 2)

    async def _hold(self, person: Hashable, wait_s: float, left: Callable[[], Awaitable[None]]) -> None:
        self.held += 1
        self._held_of[person] = self._held_of.get(person, 0) + 1
        try:
            async with asyncio.timeout(wait_s):
                await left()
        except TimeoutError:
            pass
        finally:
            self.held -= 1
            self._held_of[person] -= 1
            if not self._held_of[person]:
                del self._held_of[person]

    def _forget(self, now_s: float) -> None:
        """Drop the persons whose next refusal may leave at once; the one refused last is last in the order."""
        while self._next_s:
            person, next_s = next(iter(self._next_s.items()))
            if next_s > now_s:
                return
            del self._next_s[person]
