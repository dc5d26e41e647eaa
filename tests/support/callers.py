"""Callers of a real server: keep-alive connections of asyncio, each answer kept, each lost call counted."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

# An answer takes 10 s at most on the server's side; a call that has none then has none.
PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Call:
    """What is sent, and who sends it."""

    tool: str
    arguments: Mapping[str, Any]
    token: str
    who: str = ""

    def request(self, host: str) -> bytes:
        body = json.dumps(
            {
                "jsonrpc": "2.0",
                "id": 1,
                "method": "tools/call",
                "params": {"name": self.tool, "arguments": dict(self.arguments)},
            }
        ).encode()
        head = (
            f"POST /mcp HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {self.token}\r\n"
            "content-type: application/json\r\naccept: application/json, text/event-stream\r\n"
            f"mcp-protocol-version: 2025-11-25\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer; `at` is when it came, by the monotonic clock, and `took_s` how long it took."""

    call: Call
    status: int
    request: str
    body: bytes
    at: float
    took_s: float

    @property
    def result(self) -> dict[str, Any]:
        return json.loads(self.body).get("result", {})

    @property
    def is_good(self) -> bool:
        return self.status == 200 and not self.result.get("isError")


@dataclass(frozen=True, slots=True)
class Lost:
    """A call that got no answer: why, when, and whether its connection was new."""

    call: Call
    why: str
    at: float
    was_new: bool


@dataclass
class Callers:
    """What happened so far."""

    port: int
    answers: list[Answer] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    # Whether each call has a connection of its own.
    anew: bool = False
    stopping: bool = False

    @property
    def statuses(self) -> Counter[int]:
        return Counter(answer.status for answer in self.answers)

    async def repeat(self, calls: Sequence[Call], pause_s: float = 0.0) -> None:
        """Send one call after the other, in turn, until it is told to stop."""
        number = 0
        with opened(self.port) as (line,):
            while not self.stopping:
                await self.once(line, calls[number % len(calls)])
                number += 1
                if self.anew:
                    line.close()
                if pause_s:
                    await asyncio.sleep(pause_s)

    async def once(self, line: "Line", call: Call) -> None:
        was_new = line.is_closed
        try:
            self.answers.append(await line.send(call))
        except (OSError, TimeoutError, EOFError) as error:
            self.lost.append(Lost(call, type(error).__name__, time.monotonic(), was_new))
            line.close()
            await asyncio.sleep(0.02)


class Line:
    """One connection, opened when it is needed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def is_closed(self) -> bool:
        return self._streams is None

    async def open(self) -> None:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22)

    async def send(self, call: Call) -> Answer:
        began = time.monotonic()
        async with asyncio.timeout(PATIENCE_S):
            await self.open()
            assert self._streams is not None
            reader, writer = self._streams
            writer.write(call.request(f"127.0.0.1:{self._port}"))
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("connection") == "close":
            self.close()
        now = time.monotonic()
        return Answer(call, int(head[0].split()[1]), headers.get("x-request-id", ""), body, now, now - began)

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


@contextmanager
def opened(port: int, number: int = 1) -> Generator[list[Line]]:
    """Yield so many connections, and close those that are open at the end, whatever happens meanwhile."""
    lines = [Line(port) for _ in range(number)]
    try:
        yield lines
    finally:
        for line in lines:
            line.close()


@asynccontextmanager
async def calling(
    port: int, calls: Sequence[Call], number: int, *, anew: bool = False, pause_s: float = 0.0
) -> AsyncGenerator[Callers]:
    """Have `number` callers call all the time; they finish what they have begun at the end."""
    callers = Callers(port, anew=anew)
    tasks = [asyncio.create_task(callers.repeat([*calls[place:], *calls[:place]], pause_s)) for place in range(number)]
    try:
        yield callers
    finally:
        callers.stopping = True
        await asyncio.gather(*tasks)


async def until(
    condition: Callable[[], object], within_s: float = 60.0, else_: str = "it did not happen in time"
) -> object:
    """Return what `condition` returns once that is true."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, else_
        await asyncio.sleep(0.02)
    return found
