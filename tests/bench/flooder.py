"""The flood: connections from many loopback addresses that are held, reopened when closed, and ask without a token.

Run as a process of its own: one JSON job on standard input, one JSON line when every connection was opened, another
when the time is over and somebody asks for it.
"""
# it answers on standard output

import asyncio
import json
import sys
import time
from typing import Any, Final

import uvloop

from server.http.file_limit import raise_file_limit

_TICK_S: Final = 0.01
_OPENED_PER_TICK: Final = 30
_REQUEST: Final = (
    b"POST /mcp HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: 46\r\n\r\n"
    b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
)


class Counts:
    """What the flood did, and its connections that are open."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.open: dict[Attacker, None] = {}
        self.closed = 0
        self.failed = 0
        self.sent = 0
        self.answered = 0


class Attacker(asyncio.Protocol):
    """One connection without a token."""

    def __init__(self, counts: Counts) -> None:
        """Count into `counts`."""
        self._counts = counts
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be held."""
        self._transport = transport
        self._counts.open[self] = None

    def ask(self) -> None:
        """Send one request."""
        self._transport.write(_REQUEST)
        self._counts.sent += 1

    def data_received(self, data: bytes) -> None:
        """Count the answers."""
        self._counts.answered += data.count(b"HTTP/1.1 ")

    def connection_lost(self, exc: Exception | None) -> None:
        """Be opened again by the next tick."""
        self._counts.open.pop(self, None)
        self._counts.closed += 1


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """Hold `connections` and send `requests_per_s` for `seconds`."""
    counts, opening = Counts(), set[asyncio.Task[None]]()
    loop = asyncio.get_running_loop()

    async def open_one(number: int) -> None:
        source = f"127.0.{1 + number % job['sources'] // 250}.{1 + number % job['sources'] % 250}"
        try:
            await loop.create_connection(lambda: Attacker(counts), "127.0.0.1", job["port"], local_addr=(source, 0))
        except OSError:
            counts.failed += 1

    def refill(number: int) -> int:
        missing = min(_OPENED_PER_TICK, job["connections"] - len(counts.open) - len(opening))
        for one in range(max(0, missing)):
            task = asyncio.ensure_future(open_one(number + one))
            opening.add(task)
            task.add_done_callback(opening.discard)
        return number + max(0, missing)

    number, began, now = 0, time.monotonic(), 0.0
    while len(counts.open) < job["connections"] and time.monotonic() < began + 30:
        number = refill(number)
        await asyncio.sleep(_TICK_S)
    print(json.dumps({"opened": len(counts.open)}), flush=True)
    began = time.monotonic()
    while (now := time.monotonic() - began) < job["seconds"]:
        number = refill(number)
        due = now * job["requests_per_s"] - counts.sent
        # Each in its turn: the one that was asked goes to the end.
        for attacker in list(counts.open)[: max(0, int(due))]:
            attacker.ask()
            counts.open[attacker] = counts.open.pop(attacker)
        await asyncio.sleep(_TICK_S)
    figures = {"sent": counts.sent, "answered": counts.answered, "held_at_the_end": len(counts.open)}
    return {**figures, "closed_by_the_server": counts.closed, "not_opened": counts.failed, "seconds": now}


if __name__ == "__main__":
    raise_file_limit()
    figures = uvloop.run(run(json.loads(sys.stdin.readline())))
    sys.stdin.readline()
    print(json.dumps(figures), flush=True)
