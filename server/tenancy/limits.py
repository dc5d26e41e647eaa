"""Budgets: how often a person and a tenant may call.

The counts are one process's: with several workers or replicas each holds its own, so divide the budgets by them.
How many statements of one tenant run at once is the database's to share out.
"""

import math
import time
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from server.errors import LimitError
from server.settings import LimitsSettings
from server.tenancy.context import TenantContext


class Limits:
    """Admits the calls that fit the budgets."""

    def __init__(self, settings: LimitsSettings) -> None:
        """Prepare the counts; a budget that is not set is not counted."""
        self._windows: Final = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._person: Final = _per_minute(settings.calls_per_minute_per_person)
        self._tenant: Final = _per_minute(settings.calls_per_minute_per_tenant)

    async def count(self, context: TenantContext) -> None:
        """Count one call; raise LimitError when a budget is used up."""
        if self._tenant is not None and context.tenant is not None:
            await self._hit(self._tenant, "tenant", context.tenant)
        if self._person is not None:
            await self._hit(self._person, "person", context.token.issuer, context.token.subject)

    async def _hit(self, limit: RateLimitItem, whose: str, *who: str) -> None:
        if await self._windows.hit(limit, whose, *who):
            return
        free_at = (await self._windows.get_window_stats(limit, whose, *who)).reset_time
        raise LimitError(whose, max(1, math.ceil(free_at - time.time())))


def _per_minute(calls: int | None) -> RateLimitItem | None:
    return None if calls is None else RateLimitItemPerMinute(calls)
