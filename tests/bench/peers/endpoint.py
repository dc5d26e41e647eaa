"""One server under measurement: a process, the requests that it gets, and what a call of it costs."""

import http.client
import os
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from processes import free_port

from peers.generator import Generator
from peers.processor_time import seconds_of

_PATIENCE_S: Final = 60.0
_ROWS: Final = 20


class Endpoint:
    """A server that is running and has answered each of its requests with twenty rows once."""

    def __init__(
        self, name: str, child: subprocess.Popen[Any], port: int, requests: list[str], postmaster: int
    ) -> None:
        """Measure `child` and what it started; the backends are those of `postmaster`."""
        self.name: Final = name
        self.pid: Final = child.pid
        self._child: Final = child
        self.port: Final = port
        self._requests: Final = requests
        self._postmaster: Final = postmaster
        self.answer_bytes = 0

    def check(self) -> None:
        """Look at a whole answer to each request; RuntimeError when one has not twenty rows of its tenant."""
        for number, request in enumerate(self._requests):
            self.answer_bytes = self._checked(number, request)

    def _checked(self, number: int, request: str) -> int:
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                answer = whole_answer(self.port, request)
            except OSError:
                answer = b""
            rows = answer.count(b"CLM-") // (2 if b"structuredContent" in answer else 1)
            if answer.startswith(b"HTTP/1.1 200") and rows == _ROWS:
                return len(answer)
            if self._child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} answered request {number} with {answer[:600]!r}; its log may say why")
            time.sleep(0.1)

    def measure(self, generator: Generator, clients: int, seconds: float) -> dict[str, float]:
        """Return calls a second, p50 and p99 in milliseconds, CPU in microseconds a call, and the generator's share."""
        server, postgres, began = seconds_of(self.pid), seconds_of(self._postmaster), time.monotonic()
        try:
            load = generator.run(self.port, self._requests, clients, seconds, self.answer_bytes)
        except RuntimeError as error:
            raise RuntimeError(f"{self.name}, {clients} clients: {error}") from error
        elapsed = time.monotonic() - began
        return {
            "calls_per_s": load.calls_per_s,
            "p50_ms": load.p50_ms,
            "p99_ms": load.p99_ms,
            "cpu_us": (seconds_of(self.pid) - server) / load.calls * 1e6,
            "postgres_us": (seconds_of(self._postmaster) - postgres) / load.calls * 1e6,
            "generator_us": load.generator_s / load.calls * 1e6,
            "generator_share": load.generator_s / elapsed,
        }


def whole_answer(port: int, request: str) -> bytes:
    """Return status line, headers and body of the answer to `request`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.connect()
        connection.sock.sendall(request.encode())
        response = http.client.HTTPResponse(connection.sock)
        response.begin()
        head = f"HTTP/1.1 {response.status}\r\n" + "".join(f"{key}: {one}\r\n" for key, one in response.getheaders())
        return head.encode() + b"\r\n" + response.read()
    finally:
        connection.close()


def started(
    stack: ExitStack, log: Path, command: list[str], root: Path | None = None, **variables: str
) -> tuple[subprocess.Popen[Any], int]:
    """Start a server in `root`, with `{port}` in its command; return it and its port. `stack` ends it."""
    port = free_port()
    with log.open("wb") as output:
        child = subprocess.Popen(
            [part.replace("{port}", str(port)) for part in command],
            env={**os.environ, **variables},
            cwd=root,
            stdout=output,
            stderr=output,
        )
    stack.callback(_end, child)
    return child, port


def _end(child: subprocess.Popen[Any]) -> None:
    child.terminate()
    try:
        child.wait(20)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
