"""R161, fair turns: each busy tenant has its share of the places' time, and whoever leaves gives their place back."""

import asyncio
import random
from collections import Counter, defaultdict
from collections.abc import Hashable

import pytest
from support.virtual_time import now, run_at_once

from server.errors import LimitError, UnavailableError
from server.fair_queue import WAIT_S, WAITING, FairQueue

SECONDS = 20.0


def fair_queue(places: int = 8, most: int | None = None, wait_s: float = WAIT_S) -> FairQueue:
    return FairQueue(places, most, wait_s=wait_s, clock=now)


class Shares:
    """How many seconds each tenant had of a queue's places."""

    def __init__(self, queue: FairQueue) -> None:
        self.queue = queue
        self.seconds = defaultdict[Hashable, float](float)

    async def call(self, tenant: Hashable, seconds: float) -> None:
        place = await self.queue.take(tenant)
        try:
            await asyncio.sleep(seconds)
        finally:
            place.give_back()
        self.seconds[tenant] += seconds

    async def callers(self, tenant: Hashable, several: int, seconds: float, until: float = SECONDS) -> None:
        """Keep `several` calls of one tenant going, each `seconds` long, until the time `until`."""

        async def caller(number: int) -> None:
            chance = random.Random(f"{tenant} {number}")
            while now() < until:
                try:
                    # Not all of one length: exact ties would decide more than they do in practice.
                    await self.call(tenant, seconds * chance.uniform(0.8, 1.2))
                except (LimitError, UnavailableError):
                    await asyncio.sleep(0.5)

        await asyncio.gather(*(caller(number) for number in range(several)))


def shared(busy: dict[str, tuple[int, float]], places: int = 8) -> Shares:
    """Return what each tenant had after a minute; `busy` says how many callers it has, and how long its calls are."""

    async def run() -> Shares:
        shares = Shares(fair_queue(places))
        await asyncio.gather(*(shares.callers(tenant, *what) for tenant, what in busy.items()))
        return shares

    return run_at_once(run())


@pytest.mark.parametrize(
    ("many", "long"),
    [
        ({"a": (100, 0.1)}, 1),
        ({"a": (100, 2.0)}, 1),
        ({f"g{n}": (100, 0.5) for n in range(8)}, 8),
        ({f"g{n}": (30, 0.1) for n in range(20)}, 20),
        ({f"g{n}": (60, 0.02 * (n + 1)) for n in range(12)}, 12),
    ],
    ids=["one with many calls", "one with long calls", "eight with long calls", "twenty", "twelve of any length"],
)
def test_each_of_n_busy_tenants_has_about_one_nth_of_the_places_time(many, long) -> None:
    shares = shared(many | {"quiet": (8, 0.05)})
    part = {tenant: seconds / sum(shares.seconds.values()) for tenant, seconds in shares.seconds.items()}
    fair = 1 / (long + 1)
    assert part["quiet"] >= 0.9 * fair, part
    for tenant in many:
        assert 0.8 * fair <= part[tenant] <= 1.2 * fair, part
    # Places are never idle while somebody waits.
    assert sum(shares.seconds.values()) > 0.98 * 8 * SECONDS


def test_a_single_busy_tenant_leaves_places_for_newcomers() -> None:
    async def run() -> None:
        queue = fair_queue(8)
        taken = [asyncio.create_task(queue.take("a")) for _ in range(20)]
        await asyncio.sleep(0.1)
        assert sum(one.done() for one in taken) == 6
        began = now()
        await queue.take("b")
        await queue.take("c")
        assert now() == began
        for one in taken:
            one.cancel()

    run_at_once(run())


@pytest.mark.parametrize(("places", "most", "held"), [(1, None, 1), (1, 5, 1), (2, None, 1), (2, 2, 1), (8, 8, 7)])
def test_no_tenant_holds_all_of_several_places(places, most, held) -> None:
    async def run() -> None:
        queue = fair_queue(places, most, wait_s=0.1)
        for _ in range(held):
            await queue.take("a")
        with pytest.raises(UnavailableError, match="This tenant has too many calls running at once"):
            await queue.take("a")

    run_at_once(run())


def test_the_tenant_that_holds_the_fewest_places_is_served_next() -> None:
    async def run() -> None:
        queue, order = fair_queue(4, 3), list[str]()
        held = {
            tenant: [await queue.take(tenant) for _ in range(number)] for tenant, number in {"a": 3, "b": 1}.items()
        }

        async def wait(tenant: str) -> None:
            held[tenant].append(await queue.take(tenant))
            order.append(tenant)

        waiting = [asyncio.create_task(wait(tenant)) for tenant in ("a", "a", "b", "b")]
        held["c"] = []
        waiting += [asyncio.create_task(wait("c"))]
        for _ in range(3):
            await asyncio.sleep(0)
            held["a"].pop(0).give_back()
        await asyncio.sleep(0)
        # c holds none; then b and c hold one, and b's calls took less; then a holds one as well, and c and b more.
        assert order == ["c", "b", "a"]
        for one in waiting:
            one.cancel()

    run_at_once(run())


def test_of_tenants_with_equally_few_places_the_one_with_the_least_used_time_is_next() -> None:
    async def run() -> None:
        shares, order = Shares(fair_queue(1)), list[str]()

        async def call(tenant: str, seconds: float) -> None:
            await shares.call(tenant, seconds)
            order.append(tenant)

        calls = [call("a", 0.3) for _ in range(2)] + [call("b", 0.1) for _ in range(5)]
        await asyncio.gather(*calls)
        assert order == ["a", "b", "b", "b", "a", "b", "b"]

    run_at_once(run())


def test_a_tenant_gains_no_advantage_from_time_without_waiting_calls() -> None:
    """A tenant that comes after a long rest gets its share, and does not shut out the others first."""

    async def run() -> None:
        shares = Shares(fair_queue(1))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(shares.call("late", 0.01))
            busy = [tasks.create_task(shares.callers(tenant, 5, 0.1, 30)) for tenant in ("a", "b")]
            await asyncio.sleep(20)
            before = dict(shares.seconds)
            late = tasks.create_task(shares.callers("late", 5, 0.1, 30))
            await asyncio.sleep(3)
            gained = {tenant: seconds - before.get(tenant, 0.0) for tenant, seconds in shares.seconds.items()}
            assert all(0.8 <= gained[tenant] <= 1.2 for tenant in ("a", "b", "late")), gained
            for one in (*busy, late):
                one.cancel()

    run_at_once(run())


def test_too_many_waiting_calls_of_one_tenant_are_refused_with_the_time_to_retry() -> None:
    async def run() -> None:
        queue = fair_queue(2)
        await queue.take("a")
        waiting = [asyncio.create_task(queue.take("a")) for _ in range(WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(LimitError, match="Too many calls from this tenant") as refused:
            await queue.take("a")
        assert refused.value.retry_after_s >= 1
        # Nobody else is refused for it.
        (await queue.take("b")).give_back()
        for one in waiting:
            one.cancel()

    run_at_once(run())


def test_a_caller_who_waits_in_vain_for_places_of_others_reads_that_the_server_is_busy() -> None:
    async def run() -> None:
        queue = fair_queue(2)
        await queue.take("a")
        await queue.take("b")
        began = now()
        with pytest.raises(UnavailableError, match="The server is busy"):
            await queue.take("c")
        assert now() - began == pytest.approx(1.5)

    run_at_once(run())


def test_twenty_thousand_calls_of_which_many_leave_at_any_moment_give_every_place_back() -> None:
    async def run() -> None:
        chance, queue, given = random.Random(11), fair_queue(8), Counter[str]()
        tenants = [f"tenant-{number}" for number in range(40)]
        waiting = dict[asyncio.Task[None], None]()

        async def call() -> None:
            tenant, task = chance.choice(tenants), asyncio.current_task()
            assert task is not None
            waiting[task] = None
            try:
                place = await queue.take(tenant)
            except (LimitError, UnavailableError):
                given["refused"] += 1
                return
            finally:
                del waiting[task]
            try:
                given["served"] += 1
                await asyncio.sleep(chance.choice((0, 0, 0.001, 0.01)))
            finally:
                place.give_back()
                place.give_back()
                # Perhaps the very one that was just given this place, before it knows.
                if waiting and chance.random() < 0.3:
                    list(waiting)[chance.randrange(min(len(waiting), 20))].cancel()

        calls = list[asyncio.Task[None]]()
        for _ in range(20_000):
            calls.append(asyncio.create_task(call()))
            if chance.random() < 0.2:
                # Before it ever ran, while it waits or runs, or long after it ended.
                calls[-1 - chance.randrange(min(len(calls), 60))].cancel()
            if chance.random() < 0.25:
                await asyncio.sleep(chance.choice((0, 0, 0.001)))
        await asyncio.gather(*calls, return_exceptions=True)
        assert given["served"] > 5_000
        assert sum(one.cancelled() for one in calls) > 2_000
        assert not any(one.exception() for one in calls if not one.cancelled())
        assert (queue._free, queue._waiting_lines, queue._lines, queue._turns) == (8, 0, {}, [])
        # All of them can be had at once.
        assert len([await queue.take(tenant) for tenant in tenants[:8]]) == 8

    run_at_once(run())


def test_the_memory_of_holders_stays_small_while_the_queue_is_never_idle() -> None:
    async def run() -> None:
        queue = fair_queue(3)
        kept = await queue.take("never ends")
        for number in range(30_000):
            place, other = await queue.take(f"person-{number}"), asyncio.create_task(queue.take(f"other-{number}"))
            await asyncio.sleep(0)
            place.give_back()
            (await other).give_back()
        assert len(queue._lines) < 3_000
        assert len(queue._turns) < 3_000
        kept.give_back()
        assert queue._lines == {}

    run_at_once(run())
