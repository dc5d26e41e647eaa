"""The load generator: N keep-alive connections that each send the next request when the answer is there.

Run as a process of its own: one JSON job a line on standard input, one JSON answer a line on standard output.
"""
# it answers on standard output

import asyncio
import json
import sys
import time
from typing import Any, Final
from urllib.parse import urlsplit

import uvloop

_WARM_UP_S: Final = 0.3
_PATIENCE_S: Final = 20.0


class Client(asyncio.Protocol):
    """One connection; HTTP/1.1 answers with a Content-Length are all it understands, which keeps it cheap."""

    def __init__(
        self, address: tuple[str, int], requests: list[bytes], first: int, every_s: float, tolerant: bool
    ) -> None:
        """Send `requests` in turn, from number `first` on, one every `every_s` at most.

        `tolerant` counts refusals, and opens a new connection where one was closed.
        """
        self._address = address
        self._requests = requests
        self._next = first
        self._every_s = every_s
        self._tolerant = tolerant
        self._received = bytearray()
        self._sent_at = 0.0
        self.transport: Any = None
        self.stopped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.stopping = False
        self._rests = False
        self._opening: asyncio.Task[Any] | None = None
        self.latencies_s: list[float] = []
        self.calls = 0
        self.refused = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, or begin anew."""
        self.transport = transport
        self._received.clear()
        self._send()

    def _send(self) -> None:
        self._sent_at = time.perf_counter()
        self.transport.write(self._requests[self._next % len(self._requests)])
        self._next += 1

    def data_received(self, data: bytes) -> None:
        """Judge a whole answer, and send again."""
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator:
            return
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        refused = not head.startswith(b"HTTP/1.1 200") or b'"isError":true' in body
        if refused and not self._tolerant:
            self.stopped.set_exception(RuntimeError(f"the server answered: {self._received[:2000].decode()}"))
            self.transport.close()
            return
        if refused:
            self.refused += 1
        else:
            self.latencies_s.append(time.perf_counter() - self._sent_at)
            self.calls += 1
        self._received.clear()
        rest_s = self._sent_at + self._every_s - time.perf_counter()
        if rest_s > 0:
            self._rests = True
            asyncio.get_running_loop().call_later(rest_s, self._go_on)
        else:
            self._go_on()

    def _go_on(self) -> None:
        self._rests = False
        if self.stopping:
            self.transport.close()
            if not self.stopped.done():
                self.stopped.set_result(None)
        elif self.transport.is_closing():
            self._opening = asyncio.create_task(self.connect())
        else:
            self._send()

    async def connect(self) -> None:
        """Open the connection."""
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, *self._address)
        except OSError as error:
            self.stopped.set_exception(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell of an end that nobody asked for."""
        if self._tolerant and not self._rests:
            self._go_on()
        elif not self._tolerant and not self.stopped.done():
            self.stopped.set_exception(exc or RuntimeError("the server closed the connection"))


async def run(job: dict[str, Any]) -> dict[str, Any]:
    """Load one address for `seconds` with `clients` connections; return the latencies in seconds and the calls.

    Each client sends all `requests` in turn or, with `each`, its own alone. The last `late` clients come when all
    others were answered.
    """
    url = urlsplit(job["url"])
    address = (url.hostname or "", url.port or 0)
    requests = [request.encode() for request in job["requests"]]
    pace = job.get("every_s", 0.0), job.get("tolerant", False)

    def client_of(number: int) -> Client:
        return Client(address, *((requests[number:][:1], 0) if job.get("each") else (requests, number)), *pace)

    clients: list[Client] = []
    late = job["clients"] - job.get("late", 0)
    for number in range(job["clients"]):
        if number == late:
            await _answered(clients)
        client = client_of(number)
        await client.connect()
        clients.append(client)
    await asyncio.sleep(job.get("warm_up_s", _WARM_UP_S))
    for client in clients:
        client.latencies_s.clear()
        client.refused = 0
    began = time.perf_counter()
    await asyncio.wait({client.stopped for client in clients}, timeout=job["seconds"])
    for client in clients:
        client.stopping = True
    elapsed = time.perf_counter() - began
    of_client = [len(client.latencies_s) for client in clients]
    refused = sum(client.refused for client in clients)
    await asyncio.gather(*(client.stopped for client in clients))
    latencies = sorted(latency for client in clients for latency in client.latencies_s)
    return {
        "calls_per_s": sum(of_client) / elapsed,
        "p50_ms": _at(latencies, 0.5),
        "p99_ms": _at(latencies, 0.99),
        "all_calls": sum(client.calls for client in clients),
        **({"refused_per_s": refused / elapsed, "of_client": of_client} if job.get("tolerant") else {}),
    }


async def _answered(clients: list[Client]) -> None:
    """Wait until each of them has had an answer."""
    until = time.perf_counter() + _PATIENCE_S
    while not all(client.calls or client.refused for client in clients):
        if time.perf_counter() > until:
            raise RuntimeError("not every client was answered")
        await asyncio.sleep(0.05)


def _at(latencies: list[float], share: float) -> float:
    return latencies[int(len(latencies) * share)] * 1000 if latencies else 0.0


def main() -> None:
    """Answer jobs until the end of standard input."""
    for line in sys.stdin:
        try:
            answer = uvloop.run(run(json.loads(line)))
        except (OSError, RuntimeError) as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
