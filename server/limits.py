"""Budgets: how often a person and a tenant may call, and how many calls of one tenant run at once.

The counts are one process's: with several workers or replicas each holds its own, so divide the budgets by them.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from server.errors import LimitError
from server.settings import LimitsSettings
from server.tenancy import TenantContext

_WAIT_S: Final = 1.5


class Limits:
    """Admits the calls that fit the budgets."""

    def __init__(self, settings: LimitsSettings, pool_size: int) -> None:
        """Prepare the counts; by default one tenant's running calls leave others a quarter of the database pool."""
        self._windows: Final = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._person: Final = _per_minute(settings.calls_per_minute_per_person)
        self._tenant: Final = _per_minute(settings.calls_per_minute_per_tenant)
        self._at_once: Final = settings.concurrent_calls_per_tenant or max(1, pool_size * 3 // 4)
        # One a tenant that was ever served: bounded by the tenant registry.
        self._places: Final = dict[str, asyncio.Semaphore]()

    @asynccontextmanager
    async def admitted(self, context: TenantContext) -> AsyncGenerator[None]:
        """Hold a place for one call; raise LimitError when a budget is used up."""
        await self._count(self._tenant, "tenant", context.tenant)
        await self._count(self._person, "person", context.token.issuer, context.token.subject)
        places = self._places.setdefault(context.tenant, asyncio.Semaphore(self._at_once))
        if places.locked():
            try:
                async with asyncio.timeout(_WAIT_S):
                    await places.acquire()
            except TimeoutError:
                raise LimitError("tenant", 1) from None
        else:
            await places.acquire()
        try:
            yield
        finally:
            places.release()

    async def _count(self, limit: RateLimitItem | None, whose: str, *who: str) -> None:
        if limit is None or await self._windows.hit(limit, whose, *who):
            return
        free_at = (await self._windows.get_window_stats(limit, whose, *who)).reset_time
        raise LimitError(whose, max(1, math.ceil(free_at - time.time())))


def _per_minute(calls: int | None) -> RateLimitItem | None:
    return None if calls is None else RateLimitItemPerMinute(calls)
