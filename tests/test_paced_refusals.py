"""R214, the pace of refusals: who goes on sending over their budget waits for the answer, and nobody else does."""

import asyncio
import time
from collections import Counter

import httpx2
from support.server_of_its_own import OwnServer, server_of_its_own
from support.virtual_time import now, run_at_once

from server.http.departure import departed
from server.http.paced_refusals import GAP_S, IN_ALL, MOST_S, PER_PERSON, PacedRefusals
from server.settings import LimitsSettings


async def never() -> None:
    await asyncio.get_running_loop().create_future()


def test_the_first_refusal_leaves_at_once_and_the_next_ones_at_an_even_pace() -> None:
    """R214: each person at their own."""

    async def run() -> None:
        paced, left = PacedRefusals(now), list[float]()
        for _ in range(4):
            assert await paced.wait("mike", never)
            left.append(round(now(), 6))
        assert left == [0, GAP_S, 2 * GAP_S, 3 * GAP_S]
        assert await paced.wait("emma", never)
        assert now() == left[-1]
        # Who comes at that pace waits for nothing.
        await asyncio.sleep(2 * GAP_S)
        began = now()
        assert await paced.wait("mike", never)
        assert (now(), paced.held) == (began, 0)

    run_at_once(run())


def test_no_refusal_is_held_longer_than_the_maximum_and_few_leave_at_once() -> None:
    """R214: 200 connections of one person that each send again at once, for a minute."""

    async def run() -> None:
        paced, left, longest = PacedRefusals(now), Counter[int](), 0.0

        async def connection() -> None:
            nonlocal longest
            while now() < 60:
                began = now()
                assert await paced.wait("mike", never)
                longest = max(longest, now() - began)
                left[int(now() / GAP_S)] += 1

        await asyncio.gather(*(connection() for _ in range(200)))
        assert longest <= MOST_S
        assert sum(left.values()) < 200 * 60 / (MOST_S / 2)
        assert max(left.values()) < 40
        assert (paced.held, paced.unheld) == (0, 0)

    run_at_once(run())


def test_refusals_over_the_maximum_are_not_held_and_a_client_that_leaves_makes_room() -> None:
    """R214: of one person, and of all."""

    async def run() -> None:
        paced, gone = PacedRefusals(now), asyncio.Event()

        async def left() -> None:
            await gone.wait()

        names = [str(number) for number in range(2 * IN_ALL // PER_PERSON)]
        for name in names:
            assert await paced.wait(name, left)
        tasks = [asyncio.create_task(paced.wait(names[0], left)) for _ in range(PER_PERSON + 1)]
        await asyncio.sleep(0)
        assert (paced.held, paced.unheld, await tasks.pop()) == (PER_PERSON, 1, False)
        for name in names[1:]:
            tasks += [asyncio.create_task(paced.wait(name, left)) for _ in range(PER_PERSON)]
        await asyncio.sleep(0)
        assert paced.held == IN_ALL
        # Whose turn it is needs no room.
        assert await paced.wait("emma", never)
        gone.set()
        began = now()
        await asyncio.gather(*tasks)
        assert (now(), paced.held) == (began, 0)

    run_at_once(run())


def test_a_client_that_leaves_is_noticed_behind_the_rest_of_its_body() -> None:
    """R214: and of a body without end no more is read than one may have."""

    async def run() -> None:
        sent = asyncio.Queue[dict[str, object]]()
        waiting = asyncio.create_task(departed(sent.get, 100))
        for _ in range(2):
            sent.put_nowait({"type": "http.request", "body": b"x" * 50, "more_body": True})
        await asyncio.sleep(1)
        assert (waiting.done(), sent.qsize()) == (False, 0)
        sent.put_nowait({"type": "http.disconnect"})
        await waiting
        endless = asyncio.create_task(departed(sent.get, 100))
        for _ in range(10):
            sent.put_nowait({"type": "http.request", "body": b"x" * 60, "more_body": True})
        await asyncio.sleep(1)
        assert (endless.done(), sent.qsize()) == (False, 8)
        endless.cancel()

    run_at_once(run())


def test_r214_refusals_of_one_person_are_held_back_and_a_colleague_is_answered_meanwhile(stack) -> None:
    """R214: over HTTP."""
    with server_of_its_own(stack, limits=LimitsSettings(calls_per_minute_per_person=1)) as server:
        colleague = type(server)(server.url, stack.issuer.mint("john-regular"))
        assert server.post("whoami").status_code == 200
        order = list[int]()

        async def post(of: OwnServer, http: httpx2.AsyncClient) -> None:
            headers, body = of.request("whoami")
            order.append((await http.post(f"{server.url}/mcp", headers=headers, json=body)).status_code)

        async def all_at_once() -> None:
            async with httpx2.AsyncClient(timeout=30) as http, asyncio.TaskGroup() as tasks:
                for _ in range(60):
                    tasks.create_task(post(server, http))
                await asyncio.sleep(0.1)
                tasks.create_task(post(colleague, http))

        began = time.monotonic()
        asyncio.run(all_at_once())
        assert time.monotonic() - began >= 59 * GAP_S
        assert Counter(order) == {429: 60, 200: 1}
        assert order[-1] == 429
