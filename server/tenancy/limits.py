"""Budgets: how many requests a minute a person may send, and how many of a tenant's requests run.

The counts are one process's: with several workers or replicas each holds its own, so divide the budgets by them.
How many statements of one tenant run at once is the database's to share out.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from server.auth.access_token import AccessToken
from server.errors import LimitError
from server.settings import LimitsSettings

_MINUTE_S: Final = 60.0
_COUNTED_ONCE_BYTES: Final = 4_096


class Limits:
    """Admits what fits the budgets.

    The person is asked for every request, before its body is read; the tenant is charged for what runs. So a person who
    is over their own budget uses nothing of their colleagues'.
    """

    def __init__(self, settings: LimitsSettings) -> None:
        """Prepare the counts; a budget of 0 is not counted."""
        self._persons: Final = Budget("person", settings.calls_per_minute_per_person)
        self._tenants: Final = Budget("tenant", settings.calls_per_minute_per_tenant)

    async def admit(self, token: AccessToken) -> None:
        """Count one request of a person; raise LimitError when their budget is used up."""
        self._persons.spend(token.issuer, token.subject)

    async def weigh(self, token: AccessToken, body: bytes) -> None:
        """Count a body once more for each further 4 KiB: what it costs to parse one grows with its length."""
        further = max(0, len(body) - 1) // _COUNTED_ONCE_BYTES
        if further:
            self._persons.spend(token.issuer, token.subject, count=further)

    async def charge(self, tenant: str | None) -> None:
        """Count one request that runs for `tenant`, if there is one; raise LimitError when its budget is used up."""
        if tenant is not None:
            self._tenants.spend(tenant)

    async def refund(self, tenant: str | None) -> None:
        """Take back a charge for what did not run after all."""
        if tenant is not None:
            self._tenants.give_back(tenant)


class Budget:
    """So many requests a minute for each one; a minute begins with its first request.

    However many people there are, one request is counted in constant time, and only those of the last minute are kept.
    The in-memory counters of the package `limits` look at everybody for each request: 1.4 ms for 10,000 people.
    """

    def __init__(self, whose: str, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        """Count for each `whose` apart; 0 stands for no limit."""
        self._whose: Final = whose
        self._per_minute: Final = per_minute
        self._clock: Final = clock
        # Who, to the end of their minute and how many requests are left in it; in the order of these ends.
        self._left: Final = OrderedDict[tuple[str, ...], tuple[float, int]]()

    def __len__(self) -> int:
        """Return how many are counted now."""
        return len(self._left)

    def spend(self, *who: str, count: int = 1) -> None:
        """Count one request of `who`, or one that counts as several; raise LimitError when this minute has none left.

        The last request of a minute may count as more than what is left.
        """
        if not self._per_minute:
            return
        now = self._clock()
        self._forget(now)
        end, left = self._left.get(who, (now + _MINUTE_S, self._per_minute))
        if not left:
            raise LimitError(self._whose, max(1, math.ceil(end - now)))
        self._left[who] = (end, max(0, left - count))

    def give_back(self, *who: str) -> None:
        """Take one request of `who` back, unless its minute is over."""
        if who in self._left:
            end, left = self._left[who]
            self._left[who] = (end, min(left + 1, self._per_minute))

    def _forget(self, now: float) -> None:
        """Drop those whose minute is over."""
        while self._left:
            first = next(iter(self._left))
            if self._left[first][0] > now:
                return
            del self._left[first]
