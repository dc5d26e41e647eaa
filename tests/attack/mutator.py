"""Sends valid requests with some of their bytes changed: a process of its own, on a core of its own.

One JSON job on standard input, one JSON line with what came of it on standard output. Mutation `number` of a seed is
always the same, whatever was sent before it.
"""

import asyncio
import json
import random
import re
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import uvloop

from attack.changes import BETWEEN, LENGTH, mutated

_STATUS: Final = re.compile(rb"HTTP/1\.1 (\d\d\d) ")
_EOF_AFTER_S: Final = 2.0
_PATIENCE_S: Final = 30.0
_SHOWN: Final = 20


class Oracle:
    """What must not be in any answer; counts the rest."""

    def __init__(self, foreign: Sequence[bytes]) -> None:
        """Look for these texts of another tenant."""
        self._foreign: Final = foreign
        self.statuses: Counter[str] = Counter()
        self.found: list[str] = []

    def see(self, number: int, answer: bytes) -> None:
        """Look at all that came back for a mutation."""
        if not answer:
            self.statuses["closed"] += 1
        for status in _STATUS.findall(answer):
            self.statuses[status.decode()] += 1
            if status[0] == ord("5") and not (status == b"503" and b"retry-after" in answer.lower()):
                self.find(f"mutation {number}: {status.decode()}")
        for one in self._foreign:
            if one in answer:
                self.find(f"mutation {number}: a row of another tenant")

    def find(self, what: str) -> None:
        """Keep what was found, and no more of it than can be read."""
        if len(self.found) < _SHOWN:
            self.found.append(what)


class Connection(asyncio.Protocol):
    """One request at a time; `answered` is done when there is a whole answer, or no more will come."""

    def __init__(self) -> None:
        """Begin without a request."""
        self.received = bytearray()
        self.answered: asyncio.Future[None] | None = None
        self.is_open = True
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep it, to write."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Wait for the end that the length of the answer names."""
        self.received += data
        head, found, body = bytes(self.received).partition(BETWEEN)
        length = LENGTH.search(head)
        if found and (length is None or len(body) >= int(length[1])) and not head.startswith(b"HTTP/1.1 100"):
            self._end()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more will come."""
        self.is_open = False
        self._end()

    def end_sending(self) -> None:
        """Show the server that nothing more comes."""
        if self.is_open:
            self.transport.write_eof()

    def give_up(self) -> None:
        """Fail the request that waits."""
        if self.answered and not self.answered.done():
            self.answered.set_exception(TimeoutError())

    def _end(self) -> None:
        if self.answered and not self.answered.done():
            self.answered.set_result(None)


async def exchanged(connection: Connection, request: bytes) -> bytes:
    """Send one request and return what comes back; the end of sending shows the server that no more of it comes."""
    connection.received.clear()
    loop = asyncio.get_running_loop()
    connection.answered = loop.create_future()
    connection.transport.write(request)
    missing = _missing(request)
    if missing > 0:
        connection.transport.write_eof()
    # Also where more is missing than we know of; the server's own patience is longer.
    timers = loop.call_later(_EOF_AFTER_S, connection.end_sending), loop.call_later(_PATIENCE_S, connection.give_up)
    await connection.answered
    for timer in timers:
        timer.cancel()
    answer = bytes(connection.received)
    if missing or b"connection: close" in answer.partition(BETWEEN)[0].lower():
        # The next request would be lost, or read as a part of this one.
        connection.transport.abort()
        connection.is_open = False
    return answer


def _missing(request: bytes) -> int:
    """Return how many bytes a server waits for in vain; less than nothing when there are more than it reads."""
    head, _, body = request.partition(BETWEEN)
    if b"chunked" in head.lower():
        size, _, chunk = body.partition(b"\r\n")
        return 0 if chunk.endswith(b"\r\n0\r\n\r\n") and size == b"%x" % (len(chunk) - 7) else 1
    lengths = LENGTH.findall(head)
    return int(lengths[0]) - len(body) if lengths else -len(body)


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """Send all mutations over `connections` connections that are kept as long as the server keeps them."""
    bases = [base.encode("latin-1") for base in job["requests"]]
    oracle = Oracle([one.encode() for one in job["foreign"]])
    numbers = iter(range(job["count"]))
    opened = sent = 0

    async def client(place: int) -> None:
        nonlocal opened, sent
        connection: Connection | None = None
        for number in numbers:
            chance = random.Random(job["seed"] * 10**9 + number)
            if connection is None or not connection.is_open:
                # Each from an address of its own, as different clients have.
                source = (f"127.0.{1 + place}.{1 + opened % 250}", 0)
                _, connection = await asyncio.get_running_loop().create_connection(
                    Connection, "127.0.0.1", job["port"], local_addr=source
                )
                opened += 1
            request = mutated(chance.choice(bases), bases, chance)
            sent += 1
            try:
                oracle.see(number, await exchanged(connection, request))
            except TimeoutError:
                oracle.find(f"mutation {number}: no answer within {_PATIENCE_S:.0f} s")
                connection.transport.abort()
                connection = None

    try:
        await asyncio.gather(*map(client, range(job["connections"])))
    except OSError as error:
        oracle.find(f"after {sent} mutations the server takes no connection: {error}")
    return {"sent": sent, "opened": opened, "found": oracle.found, "statuses": oracle.statuses}


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(json.loads(sys.stdin.readline())))), flush=True)  # noqa: T201  # its answer
