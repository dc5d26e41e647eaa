"""A budget that one process counts: a number of requests per minute for each person or tenant."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from server.errors import LimitError

MINUTE_S: Final = 60.0


class Budget:
    """A number of requests per minute for each person or tenant; a minute begins with its first request.

    Counting a request takes constant time, and only those of the last minute are kept. The in-memory counters of
    the package `limits` look at everybody for each request: 1.4 ms for 10,000 people.
    """

    def __init__(self, whose: str, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Count separately for each `whose`; a `per_minute` of 0 means no limit."""
        self.whose: Final = whose
        self.per_minute: Final = per_minute
        self._clock: Final = clock
        # For each one, when their minute ends and how many requests are left in it; ordered by these ends.
        self._left: Final = OrderedDict[tuple[str, ...], tuple[float, int]]()

    def __len__(self) -> int:
        """Return how many are counted now."""
        return len(self._left)

    def spend(self, *who: str, count: int = 1) -> None:
        """Count one request of `who`, or one that counts as several; raise LimitError when none is left in this minute.

        The last request of a minute may count as more than what is left.
        """
        if not self.per_minute:
            return
        now = self._clock()
        self._forget(now)
        end, left = self._left.get(who, (now + MINUTE_S, self.per_minute))
        if not left:
            raise self.used_up(end - now)
        self._left[who] = (end, max(0, left - count))

    def give_back(self, *who: str) -> None:
        """Take back one request of `who`, unless its minute is over."""
        if who in self._left:
            end, left = self._left[who]
            self._left[who] = (end, min(left + 1, self.per_minute))

    def used_up(self, wait_s: float) -> LimitError:
        """Return the error for one who has none left in a minute that ends in `wait_s`."""
        return LimitError(self.whose, max(1, math.ceil(wait_s)))

    def _forget(self, now: float) -> None:
        """Drop those whose minute is over."""
        while self._left:
            first = next(iter(self._left))
            if self._left[first][0] > now:
                return
            del self._left[first]
