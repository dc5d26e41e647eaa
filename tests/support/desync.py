"""For tests of request ends: an origin whose audit trail says what it ran, and a client that sends raw bytes."""

import asyncio
import json
import ssl
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from server.dev.stack import Stack
from server.settings import AuditSettings
from support.request_variants import HOST, Variant, variants
from support.server_of_its_own import server_of_its_own

CALL = json.dumps(
    {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami", "arguments": {}}}
).encode()
Answers = dict[str, bytes]
_AT_ONCE = 40
_FIRST_ANSWER_S = 10.0
_BETWEEN_PIECES_S = 0.005


@dataclass(frozen=True)
class Origin:
    """A real server; its audit trail names the person of each request that it ran."""

    stack: Stack
    port: int
    trail: Path

    def request(self, subject: str, *lines: str, chunks: bool = False) -> bytes:
        """Return a right request of a person of this name, with more header lines."""
        token = self.stack.issuer.mint("mike-broker-a", sub=subject)
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(CALL), CALL) if chunks else CALL
        head = [
            f"POST /mcp?{subject} HTTP/1.1",
            f"Host: {HOST}",
            f"Authorization: Bearer {token}",
            "Content-Type: application/json",
            "Accept: application/json, text/event-stream",
            "MCP-Protocol-Version: 2025-11-25",
            "Transfer-Encoding: chunked" if chunks else f"Content-Length: {len(CALL)}",
            *lines,
        ]
        return "\r\n".join(head).encode() + b"\r\n\r\n" + body

    def variants(self, prefix: str, padding: int = 0) -> dict[str, Variant]:
        """Return every variant by its name, around a hidden request of a person of its own."""
        found: dict[str, Variant] = {}
        filler = [f"X-Filler: {'f' * padding}"] if padding else []
        for number, named in enumerate(variants(b"")):
            found[named.name] = variants(self.request(f"{prefix}-{number}", *filler))[number]
        return found

    def ran(self, prefix: str) -> set[str]:
        """Return the persons of this prefix whose requests the origin ran."""
        records = [json.loads(line) for line in self.trail.read_text().splitlines()]
        return {name for record in records if (name := record.get("subject")) and name.startswith(f"{prefix}-")}

    def ran_of(self, prefix: str, sent: Iterable[str]) -> list[str]:
        """Return the names of the variants in `sent` whose hidden request the origin ran."""
        ran = self.ran(prefix)
        return [
            one.name for number, one in enumerate(variants(b"")) if f"{prefix}-{number}" in ran and one.name in sent
        ]


@contextmanager
def origin(stack: Stack, folder: Path) -> Generator[Origin]:
    """Serve with an audit trail of its own."""
    trail = folder / "audit.jsonl"
    changed = {"audit": AuditSettings(path=trail), "allowed_hosts": (HOST,)}
    with server_of_its_own(stack, changed=changed) as server:
        yield Origin(stack, int(server.url.rpartition(":")[2]), trail)


async def exchanged(port: int, pieces: Sequence[bytes], tls: ssl.SSLContext | None, silence_s: float) -> bytes:
    """Send the pieces one after the other on one connection; return all that comes back until there is silence."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=HOST if tls else None)
    answer = bytearray()
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(_BETWEEN_PIECES_S if len(pieces) < 500 else 0)
        patience_s = _FIRST_ANSWER_S
        while data := await asyncio.wait_for(reader.read(65_536), patience_s):
            answer += data
            patience_s = silence_s
        answer += b"\0closed"
    except (OSError, TimeoutError) as error:
        answer += b"" if isinstance(error, TimeoutError) else b"\0closed"
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    return bytes(answer)


def exchanged_all(
    port: int, sent: Mapping[str, Sequence[bytes]], tls: ssl.SSLContext | None = None, silence_s: float = 0.2
) -> Answers:
    """Send each on a connection of its own, several at a time."""

    async def run() -> Answers:
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(pieces: Sequence[bytes]) -> bytes:
            async with places:
                return await exchanged(port, pieces, tls, silence_s)

        return dict(zip(sent, await asyncio.gather(*map(one, sent.values())), strict=True))

    return asyncio.run(run())


def statuses(answer: bytes) -> list[int]:
    """Return the status of each answer but "100 Continue"."""
    found = [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]
    return [status for status in found if status != 100]


def split_at_every_byte(variant: Variant) -> dict[str, Sequence[bytes]]:
    """Return the head in two segments, cut at every byte, and the body in a third."""
    cuts = range(1, len(variant.head))
    return {f"{variant.name}, cut at {cut}": (variant.head[:cut], variant.head[cut:], variant.body) for cut in cuts}
