"""A document store on loopback that answers exactly the bytes a test wants, however wrong, slow or many."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

Handler = Callable[[socket.socket, dict[str, Any]], None]


@dataclass
class ScriptedStore:
    """What was asked so far, and where."""

    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)


def answer(body: bytes | object, status: int = 200, error_type: str = "") -> bytes:
    """Return one HTTP response with this body."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = f"x-amzn-errortype: {error_type}\r\n" if error_type else ""
    head = f"HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n{named}\r\n"
    return head.encode() + content


def always(*answers: bytes) -> Handler:
    """Return a handler that gives these answers in turn, the last one for ever."""
    left = list(answers)

    def handle(connection: socket.socket, _body: dict[str, Any]) -> None:
        connection.sendall(left.pop(0) if len(left) > 1 else left[0])

    return handle


def drip(start: bytes, every_seconds: float = 0.05) -> Handler:
    """Return a handler that sends `start` and then one byte after the other, for ever."""

    def handle(connection: socket.socket, _body: dict[str, Any]) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(b"x")
            time.sleep(every_seconds)

    return handle


def wait(seconds: float, then: bytes) -> Handler:
    """Return a handler that answers late."""

    def handle(connection: socket.socket, _body: dict[str, Any]) -> None:
        time.sleep(seconds)
        connection.sendall(then)

    return handle


@contextlib.contextmanager
def scripted_store(handler: Handler) -> Generator[ScriptedStore]:
    """Serve until the end of the block; every connection has its own thread."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    store = ScriptedStore(f"http://127.0.0.1:{listener.getsockname()[1]}")
    connections: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(connection)
            threads.append(threading.Thread(target=serve, args=(connection,)))
            threads[-1].start()

    def serve(connection: socket.socket) -> None:
        # The client may leave in the middle of anything.
        with connection, contextlib.suppress(OSError, json.JSONDecodeError), connection.makefile("rb") as lines:
            while lines.readline():
                length = 0
                while (line := lines.readline().strip().lower()) != b"":
                    if line.startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
                body = json.loads(lines.read(length))
                store.requests.append(body)
                handler(connection, body)

    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield store
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        accepting.join()
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()
