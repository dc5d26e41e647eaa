"""A body that is there already, and an answer in one piece; whatever is unusual goes uvicorn's own way."""

import socket
import time
from collections.abc import Generator
from contextlib import contextmanager

from starlette.types import Receive, Scope, Send
from support.listening import listening

from server.http.exchange import answer_at_once, whole_body

HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n"


class Echo:
    """Answers with the body, and notes what could be taken and sent at once."""

    def __init__(self, *headers: tuple[bytes, bytes], status: int = 200) -> None:
        self.headers = headers
        self.status = status
        self.taken: list[bytes | None] = []
        self.sent: list[bool] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            return
        self.taken.append(whole_body(scope))
        body = self.taken[-1] or b""
        while len(body) < 5:
            body += (await receive())["body"]
        headers = [(b"content-length", b"5"), *self.headers]
        self.sent.append(answer_at_once(scope, self.status, headers, body))
        if not self.sent[-1]:
            await send({"type": "http.response.start", "status": self.status, "headers": headers})
            await send({"type": "http.response.body", "body": body})


@contextmanager
def connected(app: Echo) -> Generator[socket.socket]:
    with listening(app) as server, socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        yield connection


def answer(connection: socket.socket, *pieces: bytes) -> bytes:
    for piece in pieces:
        connection.sendall(piece)
        time.sleep(0.05)
    return connection.recv(65_536)


def test_a_body_that_has_arrived_is_taken_and_the_answer_is_sent_at_once() -> None:
    app = Echo((b"x-own", b"value"))
    with connected(app) as connection:
        for text in (b"first", b"other"):
            got = answer(connection, HEAD + b"\r\n" + text)
            assert got.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
            assert got.endswith(b"\r\ncontent-length: 5\r\nx-own: value\r\n\r\n" + text)
    assert (app.taken, app.sent) == ([b"first", b"other"], [True, True])


def test_a_body_that_comes_later_is_waited_for() -> None:
    app = Echo()
    with connected(app) as connection:
        assert answer(connection, HEAD + b"\r\n", b"fir", b"st").endswith(b"\r\n\r\nfirst")
    assert (app.taken, app.sent) == ([None], [True])


def test_two_requests_in_one_segment_are_answered_in_their_order() -> None:
    app = Echo()
    with connected(app) as connection:
        got = answer(connection, HEAD + b"\r\nfirst" + HEAD + b"\r\nother")
        while got.count(b"HTTP/1.1 200 OK") < 2:
            got += connection.recv(65_536)
    assert got.index(b"first") < got.index(b"other")
    assert app.taken == [b"first", b"other"]


def test_a_line_break_in_a_header_makes_no_second_header() -> None:
    for value in (b"a\r\nset-cookie: x", b"a\nset-cookie: x", b"a\rb"):
        app = Echo((b"x-own", value))
        with connected(app) as connection:
            got = answer(connection, HEAD + b"\r\nfirst")
        assert b"set-cookie" not in got
        assert not got.startswith(b"HTTP/1.1 200")
        assert app.sent == [False]


def test_another_status_and_a_closing_connection_take_the_usual_path() -> None:
    app = Echo(status=404)
    with connected(app) as connection:
        assert answer(connection, HEAD + b"\r\nfirst").startswith(b"HTTP/1.1 404")
    closing = Echo()
    with connected(closing) as connection:
        assert b"connection: close" in answer(connection, HEAD + b"connection: close\r\n\r\nfirst")
    assert (app.sent, closing.sent) == ([False], [False])
