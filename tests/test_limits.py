"""Budgets per person and per tenant: who is over one waits, and nobody else does."""

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import psycopg
import pytest
from conftest import ACCEPT
from support.callers import until
from support.server_of_its_own import SLEEP, one_more_tool, server_of_its_own
from support.timed import timed

from server.database.database import Database
from server.dev.people import Person
from server.settings import LimitsSettings
from server.tenancy.registry import _FIND, TenantDirectory

# PostgreSQL shows the beginning of a statement.
LOOKED_UP = """
SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query <> '' AND starts_with(%s, query)
"""


def test_r100_a_person_over_budget_reads_when_to_retry_and_colleagues_are_not_affected(stack) -> None:
    """R100."""
    with server_of_its_own(stack, limits=LimitsSettings(calls_per_minute_per_person=3)) as server:
        assert [server.post("whoami").status_code for _ in range(3)] == [200, 200, 200]
        refused = server.post("query_claims")
        assert refused.status_code == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.json()["error"]["code"] == -32004
        assert "Too many calls from this person" in refused.json()["error"]["message"]
        colleague = type(server)(server.url, stack.issuer.mint("john-regular"))
        assert colleague.post("query_claims").status_code == 200


def test_r100_a_tenant_over_budget_leaves_other_tenants_theirs(stack) -> None:
    """R100."""
    with server_of_its_own(stack, limits=LimitsSettings(calls_per_minute_per_tenant=2)) as server:
        colleague = type(server)(server.url, stack.issuer.mint("john-regular"))
        assert [server.post("whoami").status_code, colleague.post("whoami").status_code] == [200, 200]
        assert "Too many calls from this tenant" in colleague.post("whoami").json()["error"]["message"]
        other = type(server)(server.url, stack.issuer.mint("emma-broker-b"))
        assert other.post("query_claims").status_code == 200


def test_r100_a_person_over_budget_uses_nothing_of_their_tenant(stack) -> None:
    """R100, R131: what is refused is charged to nobody else."""
    limits = LimitsSettings(calls_per_minute_per_person=3, calls_per_minute_per_tenant=5)
    with server_of_its_own(stack, limits=limits) as server:
        assert [server.post("whoami").status_code for _ in range(20)] == [200] * 3 + [429] * 17
        colleague = type(server)(server.url, stack.issuer.mint("john-regular"))
        assert [colleague.post("whoami").status_code for _ in range(3)] == [200, 200, 429]


@pytest.mark.parametrize(
    ("tool", "arguments", "status"),
    [("no_such_tool", {}, 200), ("query_claims", {}, 403), ("search_policies", {"query": "x", "tenant": "x"}, 200)],
    ids=["an unknown tool", "a scope that is missing", "arguments that are refused"],
)
def test_r100_a_call_that_does_not_run_is_not_charged_to_the_tenant(stack, tool, arguments, status) -> None:
    """R100, R131."""
    with server_of_its_own(stack, limits=LimitsSettings(calls_per_minute_per_tenant=1)) as server:
        limited = type(server)(server.url, stack.issuer.mint("mike-broker-a", scopes=["policies:read"]))
        assert [limited.post(tool, **arguments).status_code for _ in range(3)] == [status] * 3
        assert [server.post("query_claims").status_code for _ in range(2)] == [200, 429]


REQUESTS = {
    "tools/list": ("tools/list", {}),
    "initialize": (
        "initialize",
        {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}},
    ),
    "ping": ("ping", {}),
    "prompts/list": ("prompts/list", {}),
    "an unknown method": ("tools/drop", {}),
    "a notification": ("notifications/initialized", {}),
    "a call without its name": ("tools/call", {}),
    "params that are no object": ("tools/list", [1]),
}
RUNNING = ("tools/list", "initialize", "ping", "prompts/list", "an unknown method")


def asked(server, method: str, params: object, path: str = "/mcp", blanks: str = "") -> int:
    """Send any method in a handshake version, and return the status."""
    identified = {} if method.startswith("notifications/") else {"id": 1}
    body = {"jsonrpc": "2.0", "method": method, "params": params} | identified
    sent = {"accept": ACCEPT, "authorization": f"Bearer {server.token}", "mcp-protocol-version": "2025-11-25"}
    content = json.dumps(body) + blanks
    return httpx2.post(
        f"{server.url}{path}", content=content, headers=sent | {"content-type": "application/json"}
    ).status_code


def test_r132_every_method_counts_against_the_person(stack, http) -> None:
    """R132: and who is over budget is told so whatever they sent, because it is not looked at."""
    with server_of_its_own(stack, limits=LimitsSettings(calls_per_minute_per_person=2)) as server:
        for case, request in REQUESTS.items():
            person = type(server)(server.url, stack.issuer.mint("mike-broker-a", sub=case))
            statuses = [asked(person, *request) for _ in range(3)]
            assert statuses[2] == 429 not in statuses[:2], case
            headers = {"authorization": f"Bearer {person.token}", "content-type": "application/json"}
            for body in (b"{", b"[" * 1_000, b"x" * 100_000):
                answer = http.post(f"{server.url}/mcp", content=body, headers=headers)
                assert (answer.status_code, answer.json()["error"]["code"]) == (429, -32004)
                assert 1 <= int(answer.headers["retry-after"]) <= 60


def test_r132_a_long_body_counts_as_several_requests(stack) -> None:
    """R132: what it costs to parse a body grows with its length; the last request of a minute is not cut short."""
    with server_of_its_own(stack, limits=LimitsSettings(calls_per_minute_per_person=20)) as server:
        short, long = " " * 3_000, " " * 60_000
        assert [asked(server, "ping", {}, blanks=blanks) for blanks in (short, long, short)] == [200] * 3
        assert [asked(server, "ping", {}, blanks=blanks) for blanks in (short, long, short, short)] == [
            200,
            200,
            429,
            429,
        ]


def test_r132_a_method_without_a_tool_is_charged_to_the_tenant_too(stack) -> None:
    """R132."""
    cases = [request for case, request in REQUESTS.items() if case in RUNNING]
    with server_of_its_own(stack, limits=LimitsSettings(calls_per_minute_per_tenant=len(cases) + 1)) as server:
        assert server.post("whoami").status_code == 200
        assert [asked(server, *request) for request in cases] == [200] * len(cases)
        assert [asked(server, *request) for request in cases] == [429] * len(cases)
        assert server.post("whoami").status_code == 429
        other = type(server)(server.url, stack.issuer.mint("emma-broker-b"))
        assert [asked(other, *request) for request in cases] == [200] * len(cases)


def test_r131_a_person_without_a_tenant_is_answered_and_no_tenant_is_charged(stack) -> None:
    """R131: neither does the address of somebody else's tenant."""
    with server_of_its_own(stack, limits=LimitsSettings(calls_per_minute_per_tenant=1)) as server:
        without = type(server)(server.url, stack.issuer.mint("omar-unmapped"))
        other = type(server)(server.url, stack.issuer.mint("emma-broker-b"))
        assert [asked(without, "tools/list", {}) for _ in range(3)] == [200] * 3
        assert [asked(other, "tools/list", {}, "/mcp/t/broker-a") for _ in range(3)] == [200] * 3
        assert [asked(server, "tools/list", {}) for _ in range(2)] == [200, 429]


def test_r109_a_tenant_that_fills_its_places_does_not_fill_the_pool(stack, tmp_path) -> None:
    """R109: eight slow calls of one tenant on a pool of four: another tenant's call does not wait for them."""
    with one_more_tool(tmp_path / "tools", "sleep", SLEEP), server_of_its_own(stack, pool_size=4) as server:
        other = type(server)(server.url, stack.issuer.mint("emma-broker-b"))
        other.call("query_claims")
        started, order = threading.Barrier(9), list[str]()

        def noise(_number: int) -> dict[str, Any]:
            started.wait()
            answer = server.call("sleep", seconds=3.0)
            order.append("refused" if answer["isError"] else "noisy")
            return answer

        with ThreadPoolExecutor(8) as threads:
            noisy = [threads.submit(noise, number) for number in range(8)]
            started.wait()
            time.sleep(0.2)
            assert other.call("query_claims")["structuredContent"]["claims"]
            order.append("other")
        assert order.index("other") < order.index("noisy")
        answers = [one.result() for one in noisy]
        served = [answer for answer in answers if not answer["isError"]]
        assert len(served) >= 3
        for answer in answers:
            assert answer in served or "This tenant has too many calls running" in answer["content"][0]["text"]


# How many calls each of four tenants keeps going, and how long each call takes in the database, in seconds.
BUSY = {"fair-long": (10, 1.0), "fair-third": (10, 0.3), "fair-fourth": (10, 0.3), "fair-many": (115, 0.3)}
TOGETHER_S = 6.0


@pytest.fixture
def busy_tenants(admin: psycopg.Connection) -> Iterator[None]:
    for tenant in BUSY:
        admin.execute("INSERT INTO tenancy.tenants (tenant_id, name) VALUES (%s, %s)", (tenant, tenant))
    yield
    admin.execute("DELETE FROM tenancy.tenants WHERE tenant_id LIKE 'fair-%'")


@timed
@pytest.mark.usefixtures("busy_tenants")
def test_r161_each_of_four_busy_tenants_has_a_quarter_of_the_database(stack, tmp_path) -> None:
    """R161: of the places' time, however many calls one of them has waiting, or how long they take."""
    had, refused = dict.fromkeys(BUSY, 0.0), Counter[int]()

    tokens = {tenant: stack.issuer.mint(Person("busy", f"of-{tenant}", tenant, ())) for tenant in BUSY}

    async def caller(server: Any, http: httpx2.AsyncClient, tenant: str, seconds: float) -> None:
        headers, body = type(server)(server.url, tokens[tenant]).request("sleep", seconds=seconds)
        until = time.monotonic() + TOGETHER_S
        while time.monotonic() < until:
            response = await http.post(f"{server.url}/mcp", headers=headers, json=body)
            if response.status_code == 200 and not response.json()["result"]["isError"]:
                had[tenant] += seconds
            else:
                refused[response.status_code] += 1
                assert response.status_code in {200, 429}, response.text
                await asyncio.sleep(int(response.headers.get("retry-after", 0)) or 0.3)

    async def all_at_once(server: Any) -> None:
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(timeout=20, limits=limits) as http, asyncio.TaskGroup() as tasks:
            for tenant, (callers, seconds) in BUSY.items():
                for _ in range(callers):
                    tasks.create_task(caller(server, http, tenant, seconds))

    with one_more_tool(tmp_path / "tools", "sleep", SLEEP), server_of_its_own(stack, pool_size=4) as server:
        asyncio.run(all_at_once(server))
    part = {tenant: had[tenant] / sum(had.values()) for tenant in BUSY}
    # By calls, the first three would have a fifth together.
    assert min(part.values()) >= 0.15, part
    # The one with 115 calls had too many waiting.
    assert refused[429] > 0


def test_r161_a_person_who_is_looked_up_again_and_again_leaves_places_for_the_next_person(stack) -> None:
    """R161, for those whose token names no tenant: they have turns of their own, not one tenant's together."""
    order = list[str]()

    async def run() -> None:
        database = Database(stack.settings.database)
        database.proved = True
        await database.open()
        directory = TenantDirectory(database)

        async def ask(person: str, tenant: str) -> None:
            await directory.find(stack.addresses.issuer, person, tenant, claimed=False)
            order.append(person)

        with (
            psycopg.connect(stack.admin_url) as locking,
            psycopg.connect(stack.admin_url, autocommit=True) as looking,
        ):

            def waiting() -> int:
                """Return how many look-ups have reached the database."""
                return looking.execute(LOOKED_UP, (_FIND.text,)).fetchall()[0][0]

            locking.execute("LOCK TABLE tenancy.user_tenants IN ACCESS EXCLUSIVE MODE")
            asked = [asyncio.create_task(ask("greedy", f"tenant-{number}")) for number in range(40)]
            await until(lambda: waiting() == 3)
            await asyncio.sleep(0.3)
            assert waiting() == 3
            asked.append(asyncio.create_task(ask("next", "broker-a")))
            await until(lambda: waiting() == 4)
            locking.rollback()
            await asyncio.gather(*asked)
        await database.close()

    asyncio.run(run())
    # The first person had three of the four places, and this one did not wait for the other 37 look-ups.
    assert order.index("next") < 20
