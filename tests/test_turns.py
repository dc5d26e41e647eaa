"""What arrives without a token has a bounded part of each turn of the event loop, and each source its turn."""

import asyncio
import socket
import struct
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager
from statistics import median

import pytest
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from support.desync import Origin, exchanged_all, origin, statuses
from support.listening import listening
from support.request_variants import HOST
from test_connections import held

from server.dev.stack import Stack
from server.http.connection import trust
from server.http.connections import Connections
from server.http.serving import doors, listen
from server.http.turns import Turns

ANONYMOUS = f"POST /mcp HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 2\r\n\r\n{{}}".encode()


@pytest.fixture(scope="module")
def server(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Generator[Origin]:
    with origin(stack, tmp_path_factory.mktemp("turns")) as running:
        yield running


def test_each_turn_has_its_own_number_of_places() -> None:
    async def run() -> None:
        turns = Turns(per_turn=2)
        assert [turns.take() for _ in range(3)] == [True, True, False]
        await asyncio.sleep(0)
        assert [turns.take() for _ in range(3)] == [True, True, False]

    asyncio.run(run())


def test_each_source_is_served_in_its_turn_however_many_wait_for_another() -> None:
    async def run() -> None:
        turns, served = Turns(per_turn=3), list[str]()
        for _ in range(100):
            turns.wait("flood", lambda: served.append("flood"))
        turns.wait("one", lambda: served.append("one"))
        # Nobody passes those who wait.
        assert not turns.take()
        await asyncio.sleep(0)
        assert served == ["flood", "one", "flood"]
        assert not turns.take()
        for _ in range(40):
            await asyncio.sleep(0)
        assert len(served) == 101
        assert turns.take()

    asyncio.run(run())


def test_requests_that_wait_are_answered_in_their_order_and_none_is_lost(server: Origin) -> None:
    """Two hundred at once, in one segment: most of it waits for many turns."""
    whole = ANONYMOUS * 20
    sent = {
        "pipelined": (ANONYMOUS * 200,),
        "in small pieces": tuple(whole[at : at + 9] for at in range(0, len(whole), 9)),
        "mixed": (ANONYMOUS * 50 + server.request("mixed-1") + ANONYMOUS * 50 + server.request("mixed-2"),),
    }
    answers = {name: statuses(answer) for name, answer in exchanged_all(server.port, sent, silence_s=5).items()}
    assert answers["pipelined"] == [401] * 200
    assert answers["in small pieces"] == [401] * 20
    assert answers["mixed"] == [*[401] * 50, 200, *[401] * 50, 200]
    assert server.ran("mixed") == {"mixed-1", "mixed-2"}


def test_a_caller_with_a_token_does_not_wait_behind_a_flood_without_one() -> None:
    """R143. Counted in requests of the flood that are answered before a call that came later, not in time."""
    order: list[str] = []

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[dict[str, Connections]]:
        yield {"connections": Connections()}

    async def answer(request: Request) -> Response:
        order.append(request.url.path)
        if request.url.path == "/caller":
            trust(request.scope, ("issuer", "person"))
        return Response()

    app = Starlette(routes=[Route("/caller", answer), Route("/flood", answer)], lifespan=lifespan)
    call, flood = (f"GET /{name} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for name in ("caller", "flood"))
    before: list[int] = []
    with listening(app) as running, ExitStack() as opened:
        caller = opened.enter_context(socket.create_connection(("127.0.0.1", running.port), 30))
        sources = [f"127.0.3.{number}" for number in range(1, 5)]
        attackers = [one for source in sources for one in opened.enter_context(held(running.port, 25, source))]
        for number in range(21):
            if number == 1:
                for one in attackers:
                    one.sendall(flood * 300)
            place = len(order)
            caller.sendall(call)
            assert caller.recv(65_536).startswith(b"HTTP/1.1 200")
            before.append(order.index("/caller", place) - place)
    assert order.count("/flood") < 30_000
    assert median(before[1:]) < 20


def test_a_caller_who_leaves_with_several_requests_open_leaves_no_error(server: Origin, caplog) -> None:
    several = b"".join(server.request(f"leaving-{number}") for number in range(8))
    for wait_s in (0.0, 0.002, 0.004, 0.006, 0.008, 0.01, 0.02):
        with socket.create_connection(("127.0.0.1", server.port), 30) as caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            caller.sendall(several)
            time.sleep(wait_s)
    [answer] = exchanged_all(server.port, {"later": (server.request("later-1"),)}, silence_s=2).values()
    assert statuses(answer) == [200]
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


def test_several_connections_are_taken_in_one_turn_of_the_loop() -> None:
    """uvloop takes one of each listening socket, so that a flood of short turns would keep newcomers out."""
    made: list[int] = []
    turn = 0

    class Taken(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            made.append(turn)
            transport.close()

    async def run() -> None:
        nonlocal turn
        loop = asyncio.get_running_loop()
        listener = listen("127.0.0.1", 0)
        servers = [await loop.create_server(Taken, sock=door, backlog=100) for door in doors(listener)]
        clients = [socket.create_connection(listener.getsockname()) for _ in range(64)]
        while len(made) < 64:
            turn += 1
            await asyncio.sleep(0)
        for one in servers:
            one.close()
        for one in clients:
            one.close()

    uvloop.run(run())
    assert len(set(made)) <= 16
