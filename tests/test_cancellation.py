"""A caller who leaves takes their statement along, and leaves the connection as it was."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import psycopg
import pytest
from conftest import MODERN
from support.audit import recorded
from support.server_of_its_own import SLEEP, OwnServer, one_more_tool, server_of_its_own
from support.timed import timed

from server.database.database import Database
from server.database.statement import Principal, Statement
from server.dev.sample import PEOPLE
from server.dev.stack import Stack
from server.errors import RefusedError, UnavailableError, WithheldError
from server.settings import AuditSettings

MIKE, EMMA = PEOPLE[2], PEOPLE[3]
RUNNING = "SELECT pid FROM pg_stat_activity WHERE usename = 'app_user' AND state = 'active' AND query ~ 'pg_sleep'"


@pytest.fixture(scope="module")
def sleeping(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnServer]:
    with (
        one_more_tool(tmp_path_factory.mktemp("tools"), "sleep", SLEEP),
        server_of_its_own(stack, pool_size=2) as server,
    ):
        yield server


def wait_for(condition: Callable[[], object], within_s: float) -> float:
    """Return how long it took until `condition` held."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < within_s
        time.sleep(0.005)
    return time.monotonic() - began


async def abandon(server: OwnServer, era: str, after_s: float) -> None:
    """Send a call that takes ten seconds, and close the connection after `after_s`."""
    headers, body = server.request("sleep", era, seconds=10)
    host = server.url.removeprefix("http://")
    _, writer = await asyncio.open_connection(*host.split(":"))
    content = json.dumps(body)
    lines = [f"{name}: {value}" for name, value in (headers | {"host": host}).items()]
    lines += ["content-type: application/json", f"content-length: {len(content)}"]
    writer.write(("POST /mcp HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n\r\n" + content).encode())
    await writer.drain()
    await asyncio.sleep(after_s)
    writer.close()


def both(server: OwnServer, stack: Stack) -> set[int]:
    """Return the backends of the pool's two connections, which proves that both can be had: by two tenants."""
    other = OwnServer(server.url, stack.issuer.mint("emma-broker-b"))
    with ThreadPoolExecutor(2) as threads:
        calls = [threads.submit(one.call, "sleep", seconds=0.5) for one in (server, other)]
    return {call.result()["structuredContent"]["pid"] for call in calls}


@timed
@pytest.mark.parametrize("era", ["2024-11-05", "2025-11-25", MODERN])
def test_the_statement_of_a_caller_who_leaves_is_gone_within_a_second(
    sleeping, stack: Stack, admin: psycopg.Connection, era
) -> None:
    """R28, in both protocol eras: gone from pg_stat_activity, and the same connection is back in the pool."""
    backends = both(sleeping, stack)
    caller = threading.Thread(target=asyncio.run, args=(abandon(sleeping, era, 0.4),))
    caller.start()
    wait_for(lambda: admin.execute(RUNNING).fetchall(), 5)
    caller.join()
    assert wait_for(lambda: not admin.execute(RUNNING).fetchall(), 1.0) < 1.0
    assert both(sleeping, stack) == backends


@timed
def test_fifty_callers_who_left_do_not_slow_the_next(sleeping, stack: Stack, admin: psycopg.Connection) -> None:
    backends = both(sleeping, stack)

    async def leave_all() -> None:
        await asyncio.gather(*(abandon(sleeping, MODERN if one % 2 else "2025-11-25", 0.3) for one in range(50)))

    asyncio.run(leave_all())
    began = time.monotonic()
    assert not sleeping.call("sleep", seconds=0)["isError"]
    assert time.monotonic() - began < 1.0
    wait_for(lambda: not admin.execute(RUNNING).fetchall(), 1.0)
    assert both(sleeping, stack) == backends


@timed
@pytest.mark.usefixtures("sleeping")
@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
def test_a_call_whose_caller_left_is_recorded_with_its_tenant(stack, tmp_path: Path, era) -> None:
    trail = tmp_path / "audit.jsonl"
    changed = {"audit": AuditSettings(path=trail)}
    with server_of_its_own(stack, changed=changed) as server:
        asyncio.run(abandon(server, era, 0.4))
        wait_for(lambda: recorded(trail), 2.0)
    (record,) = recorded(trail)
    told = [record[name] for name in ("tool", "tenant", "outcome")]
    assert told == ["sleep", "broker-a", "cancelled"]


CONTEXT = b"SELECT pg_backend_pid(), current_setting('tenancy.context', true)"


class OneConnection:
    """A Database with a pool of one, used from the test's own event loop, and that one connection looked at."""

    def __init__(self, stack: Stack, **settings: object) -> None:
        self.issuer = stack.addresses.issuer
        self.database = Database(
            stack.settings.database.model_copy(update={"pool_size": 1, "statement_timeout_ms": 700} | settings)
        )
        self.database.proved = True

    async def __aenter__(self):
        await self.database.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.database.close()

    async def fetch(self, statement, *values, person=MIKE):
        return await self.database.fetch(statement, values, Principal(self.issuer, person.subject, person.tenant, None))

    async def look(self):
        row = await self.database._pool.run(CONTEXT, (), None)
        assert row is not None
        return row


NUMBERS = Statement("numbers", "SELECT claim_number FROM app.claims ORDER BY claim_number", dict[str, str])
SLEEPS = Statement("sleeps", "SELECT pg_sleep($1::float8)::text AS slept", dict[str, str])
FAILS = Statement("fails", "SELECT 1 / (id - id) AS x FROM app.claims", dict[str, int])
OF_MIKE = [{"claim_number": f"CLM-A-00{n}"} for n in (1, 2, 3)]
OF_EMMA = [{"claim_number": f"CLM-B-00{n}"} for n in (1, 2)]


async def succeed(one: OneConnection, _admin) -> None:
    assert await one.fetch(NUMBERS) == OF_MIKE


async def fail(one: OneConnection, _admin) -> None:
    with pytest.raises(RefusedError, match="could not compute"):
        await one.fetch(FAILS)


async def take_too_long(one: OneConnection, _admin) -> None:
    with pytest.raises(UnavailableError, match="took too long"):
        await one.fetch(SLEEPS, 5)


async def be_cancelled(one: OneConnection, _admin) -> None:
    with anyio.move_on_after(0.2) as scope:
        await one.fetch(SLEEPS, 5)
    assert scope.cancelled_caught


async def be_killed(one: OneConnection, admin) -> None:
    task = asyncio.create_task(one.fetch(SLEEPS, 0.4))
    await asyncio.sleep(0.2)
    admin.execute(f"SELECT pg_terminate_backend(pid) FROM ({RUNNING}) AS running")
    # A read is repeated once, on a new connection; the caller notices nothing.
    assert len(await task) == 1


async def be_killed_twice(one: OneConnection, admin: psycopg.Connection) -> None:
    task = asyncio.create_task(one.fetch(SLEEPS, 0.6))
    for _ in range(2):
        await asyncio.to_thread(wait_for, lambda: admin.execute(RUNNING).fetchall(), 1)
        admin.execute(f"SELECT pg_terminate_backend(pid) FROM ({RUNNING}) AS running")
        await asyncio.sleep(0.1)
    with pytest.raises(UnavailableError, match="not available; nothing was read"):
        await task


async def be_refused(one: OneConnection, _admin) -> None:
    forged = Statement("forged", "SELECT 1 AS one", dict[str, int])
    forged.__dict__["digest"] = "0" * 64
    with pytest.raises(WithheldError):
        await one.fetch(forged)


@pytest.mark.parametrize(
    "event",
    [succeed, fail, take_too_long, be_cancelled, be_killed, be_killed_twice, be_refused],
    ids=lambda e: e.__name__,
)
def test_after_whatever_happened_the_context_is_gone_and_the_next_call_is_clean(
    stack, admin: psycopg.Connection, event
) -> None:
    """R84: looked at on the pooled connection itself."""

    async def run() -> None:
        async with OneConnection(stack) as one:
            before, _ = await one.look()
            await event(one, admin)
            after, context = await one.look()
            assert context in {None, b""}
            # The pool has one: unless it was killed, this is it.
            assert (before == after) == (event not in {be_killed, be_killed_twice})
            assert await one.fetch(NUMBERS, person=EMMA) == OF_EMMA
            assert await one.fetch(NUMBERS, person=MIKE) == OF_MIKE

    asyncio.run(run())


@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
def test_a_fresh_and_a_reused_connection_answer_with_identical_bytes(stack, caller, era) -> None:
    """R83."""
    answers = []
    for _ in range(2):
        with server_of_its_own(stack, pool_size=1) as server:
            for _ in range(8):
                answers.append(server.post("query_claims", era).content)
                other = OwnServer(server.url, stack.issuer.mint("emma-broker-b"))
                assert other.post("query_claims", era).content != answers[0]
    assert len(set(answers)) == 1
