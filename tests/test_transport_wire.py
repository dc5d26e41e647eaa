"""Requests that no client library would send, byte by byte: framing, sizes, and clients that stall or leave."""

import asyncio
import json
import socket
import time
from collections.abc import Generator

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp
from support.gate import BODY, Served, received, request_bytes
from support.listening import listening
from support.timed import timed

from server.http import gate
from server.http.connection import MAXIMUM_HEAD_BYTES, Connection
from server.http.serving import server_config


def test_two_lengths_are_refused_and_the_connection_closed(served: Served) -> None:
    """R24."""
    smuggled = request_bytes(served, ("transfer-encoding", "chunked"), skip="connection")
    answer = served.raw(smuggled + b"0\r\n\r\n" + request_bytes(served))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer


@pytest.mark.parametrize(
    "framing",
    [
        [("content-length", "5"), ("content-length", "6")],
        [("content-length", "5, 5")],
        [("content-length", "+5")],
        [("content-length", "0x5")],
        [("content-length", "-1")],
        [("content-length", "99999999999999999999999")],
        [("transfer-encoding", "chunked, identity")],
        [("transfer-encoding", "identity")],
        [("transfer-encoding", "xchunked")],
        [("transfer-encoding ", "chunked")],
    ],
    ids=str,
)
def test_a_length_that_can_be_read_in_two_ways_is_refused(served: Served, framing) -> None:
    """R24."""
    answer = served.raw(request_bytes(served, *framing, skip="content-length"))
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 413 "))
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_trailer_does_not_become_a_header(served: Served) -> None:
    """R5, RFC 9110 section 6.5.1: an intermediary never saw the token that arrives behind the body."""
    token = served.strict.token()
    begin = request_bytes(served, ("transfer-encoding", "chunked"), skip="content-length").removesuffix(BODY)
    unsigned = begin.replace(b"authorization: Bearer ", b"x-was: ")
    body = b"%x\r\n%s\r\n0\r\nauthorization: Bearer %s\r\n\r\n" % (len(BODY), BODY, token.encode())
    assert served.raw(unsigned + body).startswith(b"HTTP/1.1 401 ")
    assert served.raw(begin + body).startswith(b"HTTP/1.1 200 ")


@timed
@pytest.mark.parametrize(
    "head",
    [
        b"POST /mcp HTTP/1.1\r\nx: " + b"x" * 1_000_000,
        b"POST /mcp HTTP/1.1\r\nauthorization: Bearer " + b"x" * 1_000_000 + b"\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\n" + b"x: y\r\n" * 200_000 + b"\r\n",
        b"POST /" + b"m" * 1_000_000,
        b"POST /" + b"m" * (MAXIMUM_HEAD_BYTES + 1) + b" HTTP/1.1\r\n\r\n",
    ],
    ids=["a header without end", "a token of 1 MB", "many headers", "a target without end", "a long target"],
)
def test_a_head_that_is_too_large_is_refused_before_it_is_whole(served: Served, head: bytes) -> None:
    """R42, R59."""
    started = time.monotonic()
    answer = b""
    with socket.create_connection(("127.0.0.1", served.port), timeout=5) as connection:
        try:
            connection.sendall(head)
            answer = received(connection)
        except (BrokenPipeError, ConnectionResetError):
            pass
    assert answer[:13] in {b"", b"HTTP/1.1 400 "}
    assert time.monotonic() - started < 4


def resident_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:  # noqa: PTH123  # no file of ours
        return int(statm.read().split()[1]) * 4_096


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_over_the_limit_is_refused_with_flat_memory(served: Served, chunked: bool) -> None:
    """R25."""
    framing = ("transfer-encoding", "chunked") if chunked else ("content-length", "100000000")
    head = request_bytes(served, framing, skip="content-length").removesuffix(BODY)
    block = b"x" * 65_536
    piece = b"%x\r\n%s\r\n" % (len(block), block) if chunked else block
    before, sent, answer = resident_bytes(), 0, b""
    with socket.create_connection(("127.0.0.1", served.port), timeout=5) as connection:
        connection.sendall(head)
        try:
            while sent < 100_000_000:
                connection.sendall(piece)
                sent += len(piece)
            answer = received(connection)
        except (BrokenPipeError, ConnectionResetError):
            # The kernel may drop the answer together with the connection, when the client goes on sending.
            answer = received(connection)
    assert sent < 20_000_000
    assert resident_bytes() - before < 20_000_000
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_just_over_the_limit_is_refused_with_the_reason(served: Served) -> None:
    """R25."""
    limit = 65_536
    padded = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {}}).encode()
    for extra, status in ((0, 200), (1, 413)):
        body = padded + b" " * (limit - len(padded) + extra)
        response = served.send(served.strict.token(), body)
        assert response.status_code == status


@timed
def test_a_body_that_stalls_ends_the_request_bytes(served: Served, monkeypatch) -> None:
    """R27."""
    assert gate.BODY_TIMEOUT_S == 10
    monkeypatch.setattr(gate, "BODY_TIMEOUT_S", 0.5)
    started = time.monotonic()
    answer = served.raw(request_bytes(served)[:-5], wait_s=5)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert 0.4 < time.monotonic() - started < 3


@pytest.fixture(scope="module")
def impatient() -> Generator[int]:
    """A server whose connections have half a second for a message; it answers before it reads the body."""

    class Impatient(Connection):
        message_timeout_s = 0.5
        write_timeout_s = 0.5

    async def answer(_request: Request) -> Response:
        return PlainTextResponse("early")

    async def later(_request: Request) -> Response:
        await asyncio.sleep(1)
        return PlainTextResponse("late")

    async def large(_request: Request) -> Response:
        return PlainTextResponse("x" * 8_000_000)

    routes = [Route("/", answer, methods=["POST"]), Route("/late", later), Route("/large", large)]

    def configured(app: ASGIApp) -> uvicorn.Config:
        config = server_config(app)
        config.http = Impatient
        return config

    with listening(Starlette(routes=routes), configured=configured) as running:
        yield running.port


STALLED = {
    "no byte": [b""],
    "a request line": [b"POST / HTTP/1.1\r\n"],
    "one byte at a time": [bytes([byte]) for byte in b"POST / HTTP/1.1\r\nx: y"],
    "blank lines": [b"\r\n"] * 20,
    "a head and no body, though it was answered": [b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n"],
    "a body without end, though it was answered": [
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 500\r\n\r\n",
        *[b"x"] * 20,
    ],
    "a second request": [
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\nPOST / HTTP",
    ],
}


@timed
@pytest.mark.parametrize("case", list(STALLED))
def test_a_request_that_is_never_finished_is_closed_in_time(impatient: int, case: str) -> None:
    """R26: fifteen seconds in production."""
    assert Connection.message_timeout_s == 15
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", impatient), timeout=3) as connection:
        for piece in STALLED[case]:
            try:
                connection.sendall(piece)
            except OSError:
                break
            time.sleep(0.05)
        received(connection)
    assert time.monotonic() - started < 2


def test_a_long_answer_is_not_cut_off_by_the_limit_on_requests(impatient: int) -> None:
    """R26."""
    with socket.create_connection(("127.0.0.1", impatient), timeout=3) as connection:
        connection.sendall(b"GET /late HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert received(connection).endswith(b"late")


def test_a_client_that_does_not_take_its_answer_is_cut_off(impatient: int) -> None:
    with socket.create_connection(("127.0.0.1", impatient), timeout=3) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        time.sleep(1)
        assert len(received(connection)) < 8_000_000
    with socket.create_connection(("127.0.0.1", impatient), timeout=3) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert len(received(connection)) > 8_000_000
