"""Connections without a token: they take nothing from those who have one, and each source has a share."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from conftest import ACCEPT
from support.server_of_its_own import OwnServer, server_of_its_own

from server.dev.stack import Stack
from server.http import connections as counted
from server.http.connections import Connections
from server.settings import ConnectionsSettings, LimitsSettings, Settings

ROOT = Path(__file__).parents[1]
WHOAMI = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami", "arguments": {}}}'
Serving = Callable[..., AbstractContextManager[tuple[OwnServer, Connections]]]


@pytest.fixture
def serving(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Serving:
    """Serve with these limits; yield the server and its counts."""
    made: list[Connections] = []

    class Watched(Connections):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            made.append(self)

    monkeypatch.setattr("server.workers.kept.Connections", Watched)

    @contextmanager
    def serve(
        proxies: tuple[str, ...] = (), limits: LimitsSettings | None = None, **connections: int
    ) -> Generator[tuple[OwnServer, Connections]]:
        changed = {
            "connections": ConnectionsSettings(**connections),
            "trusted_proxies": Settings.model_validate({"trusted_proxies": proxies}).trusted_proxies,
        }
        with server_of_its_own(stack, limits=limits, changed=changed) as server:
            yield server, made[-1]

    return serve


def port_of(server: OwnServer) -> int:
    return int(server.url.rpartition(":")[2])


@contextmanager
def held(port: int, number: int, source: str = "127.0.0.1") -> Generator[list[socket.socket]]:
    """Open connections and send nothing."""
    with ExitStack() as opened:
        yield [
            opened.enter_context(socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0)))
            for _ in range(number)
        ]


def closed(connections: list[socket.socket]) -> int:
    """Return how many of them the server has closed."""
    number = 0
    for one in connections:
        one.settimeout(0)
        try:
            number += one.recv(1) == b""
        except BlockingIOError:
            pass
        except ConnectionResetError:
            number += 1
    return number


def until(reached: Callable[[], bool]) -> None:
    for _ in range(1_000):
        if reached():
            return
        time.sleep(0.01)
    pytest.fail("not reached within ten seconds")


def client_of(server: OwnServer, opened: ExitStack) -> HTTPConnection:
    return opened.enter_context(closing(HTTPConnection("127.0.0.1", port_of(server), timeout=30)))


def call(client: HTTPConnection, server: OwnServer, token: str | None = None) -> int:
    headers = {"accept": ACCEPT, "content-type": "application/json", "authorization": f"Bearer {token or server.token}"}
    client.request("POST", "/mcp", WHOAMI, headers)
    answer = client.getresponse()
    answer.read()
    return answer.status


def test_callers_with_a_token_are_answered_while_thousands_of_connections_are_held(serving: Serving) -> None:
    """R143: more of them than the server holds at all, from one address and from many."""
    with serving(maximum=200, per_source=50) as (server, counts), ExitStack() as opened:
        kept = client_of(server, opened)
        assert call(kept, server) == 200
        for number in range(40):
            source = "127.0.0.1" if number < 10 else f"127.0.1.{number}"
            opened.enter_context(held(port_of(server), 50, source))
            assert call(kept, server) == 200
            # A new connection, from an address whose share is used up.
            with ExitStack() as briefly:
                assert call(client_of(server, briefly), server) == 200
        assert counts.open <= 200
        assert counts.refused == 0
        until(lambda: counts.dropped > 1_800)


def test_without_a_token_half_of_the_places_is_all_there_is(serving: Serving) -> None:
    with serving(maximum=100, per_source=1_000) as (server, counts), held(port_of(server), 120) as connections:
        until(lambda: closed(connections) == 70)
        assert (counts.open, counts.dropped, counts.trusted) == (50, 70, 0)
        # The oldest go first.
        assert closed(connections[:70]) == 70


def test_a_source_that_uses_up_its_share_loses_its_own_oldest(serving: Serving) -> None:
    with (
        serving(maximum=1_000, per_source=20) as (server, counts),
        held(port_of(server), 5, "127.0.2.1") as other,
        held(port_of(server), 50) as flood,
    ):
        until(lambda: closed(flood) == 30)
        assert closed(flood[:30]) == 30
        assert closed(other) == 0
        assert counts.open == 25


def test_a_connection_that_was_just_used_stays_longer(serving: Serving) -> None:
    with serving(maximum=1_000, per_source=20) as (server, counts), held(port_of(server), 20) as first:
        until(lambda: counts.open == 20)
        first[0].sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert first[0].recv(65_536).startswith(b"HTTP/1.1 200")
        with held(port_of(server), 19):
            until(lambda: closed(first[1:]) == 19)
            assert closed(first[:1]) == 0


def test_a_trusted_proxy_has_no_share(serving: Serving) -> None:
    limits = {"maximum": 1_000, "per_source": 5, "per_person": 5}
    with serving(("127.0.0.0/8",), **limits) as (server, counts), ExitStack() as opened:
        connections = opened.enter_context(held(port_of(server), 50))
        until(lambda: counts.open == 50)
        for _ in range(20):
            assert call(client_of(server, opened), server) == 200
        assert (counts.open, counts.trusted, counts.dropped) == (70, 0, 0)
        assert closed(connections) == 0


def test_a_person_has_a_share_and_loses_their_own_oldest_idle_connection(stack: Stack, serving: Serving) -> None:
    emma = stack.issuer.mint("emma-broker-b")
    with serving(maximum=100, per_person=3) as (server, counts), ExitStack() as opened:
        other = client_of(server, opened)
        assert call(other, server, emma) == 200
        for _ in range(8):
            assert call(client_of(server, opened), server) == 200
        assert (counts.trusted, counts.dropped) == (4, 5)
        assert call(other, server, emma) == 200


def test_if_all_connections_are_trusted_the_longest_idle_one_is_closed(serving: Serving) -> None:
    with serving(maximum=16, per_person=1_000) as (server, counts), ExitStack() as opened:
        for _ in range(40):
            assert call(client_of(server, opened), server) == 200
        assert counts.open == 16
        assert (counts.dropped, counts.refused) == (24, 0)


def test_closed_connections_are_logged_once_per_interval(serving: Serving, monkeypatch) -> None:
    lines: list[dict[str, Any]] = []

    class Log:
        def warning(self, event: str, **fields: Any) -> None:
            lines.append({"event": event, **fields})

    monkeypatch.setattr(counted, "_log", Log())
    monkeypatch.setattr(counted, "REPORT_INTERVAL_S", 0.5)
    with serving(maximum=1_000, per_source=10) as (server, counts), held(port_of(server), 110):
        began = time.monotonic()
        until(lambda: counts.dropped == 100 == sum(line["dropped"] for line in lines))
        # The first at once, the others together at the end of an interval.
        assert lines[0]["dropped"] == 1
        assert len(lines) <= 2 + (time.monotonic() - began) / 0.5
        assert lines[-1] == {
            "event": "connections were closed to make room (docs/front-door.md)",
            "dropped": lines[-1]["dropped"],
            "refused": 0,
            "open": 10,
            "trusted": 0,
            "largest_source": "127.0.0.1",
            "of_largest_source": 10,
            "maximum": 1_000,
        }
        told = len(lines)
        time.sleep(1.2)
        assert len(lines) == told


def test_an_idle_connection_lives_as_long_as_the_setting_says(stack: Stack, serving: Serving) -> None:
    """Case 17: longer than proxies keep one; a request that meets the end of its connection is lost."""
    assert stack.settings.connections.keep_alive_s == 75
    with serving(keep_alive_s=1) as (server, _), socket.create_connection(("127.0.0.1", port_of(server)), 10) as one:
        one.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert one.recv(65_536).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        assert one.recv(1) == b""
        assert time.monotonic() - began > 0.5


@dataclass(eq=False)
class Fake:
    """A connection that only this file knows."""

    is_idle: bool = True
    dropped: bool = field(default=False, init=False)

    def drop(self) -> None:
        self.dropped = True


def test_an_idle_connection_keeps_nothing_of_its_last_request(serving: Serving) -> None:
    """Ten thousand of them would keep as many tokens and headers."""
    with serving() as (server, counts), ExitStack() as opened:
        client = client_of(server, opened)
        for _ in range(2):
            assert call(client, server) == 200
            idle: Any = next(iter(counts._held))
            until(lambda: (idle.cycle, idle._running, idle.scope, idle.headers) == (None, None, None, []))  # noqa: B023


@pytest.mark.parametrize(
    ("addresses", "sources"),
    [
        (("2001:db8::1", "2001:db8::ffff:ffff"), 1),
        (("2001:db8::1", "2001:db8:0:1::1"), 2),
        (("192.0.2.1", "::ffff:192.0.2.1"), 1),
        (("192.0.2.1", "192.0.2.2"), 2),
        (("fe80::1%eth0", "fe80::2%eth1"), 1),
    ],
)
def test_a_source_is_an_ipv4_address_or_the_first_half_of_an_ipv6_one(addresses, sources) -> None:
    counts = Connections()
    assert len({counts._source(one) for one in addresses}) == sources


def test_a_busy_connection_is_not_closed_for_another_of_its_person() -> None:
    counts = Connections(per_person=1)
    busy, later = Fake(is_idle=False), Fake()
    for one in (busy, later):
        assert counts.admit(one, "192.0.2.1")
        counts.trust(one, ("issuer", "person"))
    assert not busy.dropped
    assert counts.trusted == 2
    counts.forget(busy)
    counts.forget(busy)
    assert (counts.open, counts.trusted) == (1, 1)


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 300))
from server.http.connections import Connections
counts = Connections(maximum=10_000)
print(counts.maximum, resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_there_are_fewer_places_than_files_and_the_limit_is_raised_first() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], cwd=ROOT, capture_output=True, text=True, check=True)
    last = done.stdout.strip().splitlines()
    assert last[-1] == "150 (300, 300)"
    assert "LimitNOFILE" in last[0]


FLOODED = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 300))
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from server.http.connections import Connections
from server.http.serving import Server, listen, server_config

@asynccontextmanager
async def lifespan(app):
    yield {"connections": Connections()}

async def alive(request):
    return PlainTextResponse("alive")

listener = listen("127.0.0.1", 0)
print(listener.getsockname()[1], flush=True)
Server(server_config(Starlette(routes=[Route("/", alive)], lifespan=lifespan))).run(sockets=[listener])
"""


def test_more_connections_than_the_process_may_open_files_do_not_stop_it() -> None:
    command = [sys.executable, "-c", FLOODED]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            with held(port, 400), socket.create_connection(("127.0.0.1", port), 20) as one:
                one.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                assert one.recv(65_536).startswith(b"HTTP/1.1 200")
        finally:
            process.kill()


def test_a_connection_whose_person_is_over_their_budget_waits_for_its_turns_like_one_without_a_token(
    serving: Serving, stack: Stack
) -> None:
    """R143, R214: until they are within it again."""
    limits = LimitsSettings(calls_per_minute_per_person=2)
    with serving(limits=limits) as (server, counts), ExitStack() as opened:
        client, other = client_of(server, opened), client_of(server, opened)
        colleague = stack.issuer.mint("john-regular")
        assert [call(client, server), call(other, server)] == [200, 200]
        assert counts.trusted == 2
        assert [call(client, server), call(client, server)] == [429, 429]
        assert counts.trusted == 1
        assert call(client, server, colleague) == 200
        assert counts.trusted == 2
