"""Holds idle connections: each sends one request with a token, reads its answer and then waits.

Run as a process of its own: one JSON job on standard input, one JSON line when all are open, and another one when
somebody asks whether they still are.
"""
# it answers on standard output

import asyncio
import json
import sys
from typing import Any, Final

import uvloop

from server.http.file_limit import raise_file_limit

_AT_ONCE: Final = 50
_PATIENCE_S: Final = 30


async def run(job: dict[str, Any]) -> None:
    """Open, report, and hold them until the end of standard input."""
    held: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    failed = 0

    async def open_one(number: int) -> None:
        # Several addresses: the ports of one are not enough for any number of connections.
        source = (f"127.0.0.{2 + number // 5_000}", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", job["port"], local_addr=source)
        writer.write(job["requests"][number % len(job["requests"])].encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _PATIENCE_S)
        if not head.startswith(b"HTTP/1.1 200"):
            raise OSError(head.decode())
        await reader.readexactly(int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]))
        held.append((reader, writer))

    for first in range(0, job["connections"], _AT_ONCE):
        several = range(first, min(first + _AT_ONCE, job["connections"]))
        results = await asyncio.gather(*map(open_one, several), return_exceptions=True)
        failed += sum(isinstance(one, BaseException) for one in results)
    print(json.dumps({"open": len(held), "failed": failed}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    closed = sum(reader.at_eof() or writer.is_closing() for reader, writer in held)
    print(json.dumps({"open": len(held) - closed}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)


if __name__ == "__main__":
    raise_file_limit()
    uvloop.run(run(json.loads(sys.stdin.readline())))
