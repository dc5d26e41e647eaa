"""Budgets that all processes with the same store count together, and local counting while the store is away.

One task asks the store for all requests that wait: one request alone costs about 90 µs of processor time, with
thirty others 15 µs. Only this task waits for a store that does not answer. Meanwhile each process counts on its
own, and no request waits for the store.
"""

import asyncio
import hashlib
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import structlog

from server.tenancy.budget import Budget
from server.tenancy.limit_store import PREFIX, LimitStore, Spending

CONNECT_S: Final = 1.0
ANSWER_S: Final = 0.2
# Added to ANSWER_S, so that an event loop that was itself late can read an answer that has arrived.
_LATE_S: Final = 0.05
# Between two attempts to reach a store that did not answer.
AWAY_S: Final = 1.0
REPORT_INTERVAL_S: Final = 10.0
# A connection that was idle for this long is tested first: a firewall may have dropped it silently.
_IDLE_S: Final = 20.0
# Requests in one round trip; meanwhile the store answers no other client.
_TOGETHER: Final = 256
# How long a refusal is repeated without asking again, and for how many people and tenants.
_REMEMBERED_S: Final = 1.0
_REMEMBERED: Final = 10_000
_log: Final = structlog.get_logger("limits")


class SharedBudgets:
    """Spends from budgets that a store counts.

    For metrics: `is_shared` says whether the store counts now, `failures` how often it did not answer, and
    `counted_locally` how many decisions were made without it.
    """

    def __init__(self, store: LimitStore, deployment: str) -> None:
        """Count in `store`, under names that no other deployment uses."""
        self.is_shared = False
        self.failures = 0
        self.counted_locally = 0
        self._store: Final = store
        self._deployment: Final = hashlib.blake2b(deployment.encode(), digest_size=16).digest()
        self._waiting: list[tuple[Spending, asyncio.Future[int | None] | None]] = []
        self._asked: list[tuple[Spending, asyncio.Future[int | None] | None]] = []
        self._wanted: Final = asyncio.Event()
        self._tried: Final = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._refused: Final = dict[str, tuple[float, float]]()
        self._away_since_s = time.monotonic()
        self._said_at_s = float("-inf")
        # Whether the last log line says that the store is away.
        self._is_said = False

    async def open(self) -> None:
        """Start to share; return when the store has answered or failed to answer."""
        self._task = asyncio.create_task(self._keep_asking())
        await self._tried.wait()

    async def close(self) -> None:
        """End the task and the connection."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None
        self._decide_locally()
        await self._store.disconnect()

    async def spend(self, budget: Budget, *who: str, count: int = 1) -> None:
        """Do what `budget.spend` does, for all processes together while the store answers."""
        if not budget.per_minute:
            return
        wait_ms = await self._ask(budget, who, count) if self.is_shared else None
        if wait_ms is None:
            self.counted_locally += 1
            budget.spend(*who, count=count)
        elif wait_ms:
            raise budget.used_up(wait_ms / 1_000)

    def give_back(self, budget: Budget, *who: str) -> None:
        """Do what `budget.give_back` does, without waiting for it."""
        if not self.is_shared:
            budget.give_back(*who)
        elif budget.per_minute:
            self._send(Spending(self._key(budget, who), budget.per_minute, -1), None)

    async def _ask(self, budget: Budget, who: tuple[str, ...], count: int) -> int | None:
        """Return 0, or the milliseconds to wait; None when the store does not answer."""
        key = self._key(budget, who)
        now = time.monotonic()
        until_s, end_s = self._refused.get(key, (0.0, 0.0))
        if now < until_s:
            return max(1, round((end_s - now) * 1_000))
        answer: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._send(Spending(key, budget.per_minute, count), answer)
        wait_ms = await answer
        if wait_ms:
            if len(self._refused) >= _REMEMBERED:
                self._refused.clear()
            end_s = time.monotonic() + wait_ms / 1_000
            self._refused[key] = (min(end_s, now + _REMEMBERED_S), end_s)
        elif until_s:
            self._refused.pop(key, None)
        return wait_ms

    def _key(self, budget: Budget, who: tuple[str, ...]) -> str:
        """Return a name for the store that does not reveal who it is."""
        # No issuer holds a NUL, and the subject comes last.
        name = hashlib.blake2b("\0".join(who).encode(errors="surrogatepass"), digest_size=16, key=self._deployment)
        return f"{PREFIX}:{budget.whose}:{name.hexdigest()}"

    def _send(self, spending: Spending, answer: "asyncio.Future[int | None] | None") -> None:
        self._waiting.append((spending, answer))
        self._wanted.set()

    async def _keep_asking(self) -> None:
        """Connect and answer; after a failure let each process count on its own for a while, then try again."""
        while True:
            try:
                async with asyncio.timeout(CONNECT_S):
                    await self._store.connect()
                self._answers_again()
                await self._answer_all()
            except Exception as error:  # noqa: BLE001  # whatever it is, nobody may wait for this task
                self._failed(error)
            await asyncio.sleep(AWAY_S)

    async def _answer_all(self) -> None:
        """Ask the store for every waiting request, again and again; raise any error."""
        while True:
            if not self._waiting:
                self._wanted.clear()
                try:
                    async with asyncio.timeout(_IDLE_S):
                        await self._wanted.wait()
                except TimeoutError:
                    async with _in_time():
                        await self._store.ping()
                    continue
            self._asked, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
            async with _in_time():
                waits_ms = await self._store.count([spending for spending, _ in self._asked])
            for (_, answer), wait_ms in zip(self._asked, waits_ms, strict=True):
                if answer is not None and not answer.done():
                    answer.set_result(wait_ms)
            self._asked = []

    def _answers_again(self) -> None:
        self.is_shared = True
        self._tried.set()
        if self._is_said:
            self._is_said = False
            away_s = round(time.monotonic() - self._away_since_s, 1)
            _log.warning("the limits store answers again; limits are shared", away_s=away_s)

    def _failed(self, error: Exception) -> None:
        now = time.monotonic()
        if self.is_shared:
            self._away_since_s = now
        self.failures += 1
        self._decide_locally()
        self._tried.set()
        if now - self._said_at_s >= REPORT_INTERVAL_S:
            self._said_at_s, self._is_said = now, True
            _log.warning(
                "the limits store does not answer; until it does, each process counts on its own",
                cause=self._store.cause(error),
                counted_locally=self.counted_locally,
            )

    def _decide_locally(self) -> None:
        """Let this process decide for every waiting request."""
        self.is_shared = False
        for _, answer in (*self._asked, *self._waiting):
            if answer is not None and not answer.done():
                answer.set_result(None)
        self._asked, self._waiting = [], []


@asynccontextmanager
async def _in_time() -> AsyncGenerator[None]:
    """Raise TimeoutError when the store does not answer in time; an answer that arrived but is unread is in time."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(None) as limit:
        late = loop.call_later(ANSWER_S, lambda: limit.reschedule(loop.time() + _LATE_S))
        try:
            yield
        finally:
            late.cancel()
