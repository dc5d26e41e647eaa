"""Random changes to the bytes of valid requests; the control crashes on some bytes and leaks on others."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from attack.faulty import faulty_server
from attack.outcome import Attack, Result
from attack.target import ACCEPT, FOREIGN, PERSON, ROWS_OF, Target

COUNT: Final = 200_000
_CONNECTIONS: Final = 16
_LONGEST_S: Final = 3_600
_MODERN: Final = "2026-07-28"
_META: Final = {
    "io.modelcontextprotocol/protocolVersion": _MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}
_FILTERS: Final[dict[str, Any]] = {
    "customer_name": "Ali", "status": "open", "period": "last_week", "min_amount": 1, "sort": "amount", "limit": 5,
}  # fmt: skip


def requests(host: str, token: str) -> list[str]:
    """Return valid requests of one person, in both eras; calls of tools are most of them."""
    calls: list[tuple[str, dict[str, Any]]] = [
        ("tools/call", {"name": "query_claims", "arguments": {}}),
        ("tools/call", {"name": "query_claims", "arguments": _FILTERS}),
        ("tools/call", {"name": "summarize_claims", "arguments": {"group_by": "status", "filed_from": "2020-01-01"}}),
        ("tools/call", {"name": "whoami", "arguments": {}}),
        ("tools/list", {}),
        ("prompts/list", {}),
        ("ping", {}),
    ]
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "client", "version": "1"}}
    found = [_request(host, token, method, params) for method, params in (*calls, ("initialize", hello))]
    found += [_request(host, token, method, params, modern=True) for method, params in calls[:5]]
    found.append(_request(host, token, "tools/call", calls[1][1], chunked=True))
    found += [
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"
        for path in ("/.well-known/oauth-protected-resource/mcp", "/ping")
    ]
    return found


def _request(
    host: str, token: str, method: str, params: dict[str, Any], *, modern: bool = False, chunked: bool = False
) -> str:
    lines = [f"MCP-Protocol-Version: {_MODERN if modern else '2025-11-25'}"]
    if modern:
        params = {**params, "_meta": _META}
        lines += [f"Mcp-Method: {method}", *([f"Mcp-Name: {params['name']}"] if "name" in params else [])]
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    lines.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}")
    body = f"{len(body):x}\r\n{body}\r\n0\r\n\r\n" if chunked else body
    head = [
        *("POST /mcp HTTP/1.1", f"Host: {host}", f"Authorization: Bearer {token}", "Content-Type: application/json"),
        *(f"Accept: {ACCEPT}", *lines),
    ]
    return "\r\n".join(head) + "\r\n\r\n" + body


def sent(port: int, valid: list[str], count: int, seed: int, foreign: tuple[bytes, ...] = FOREIGN) -> dict[str, Any]:
    """Let the other process send; return its answer."""
    job = {"port": port, "requests": valid, "count": count, "seed": seed, "connections": _CONNECTIONS}
    done = subprocess.run(
        [sys.executable, "-m", "attack.mutator"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        input=json.dumps({**job, "foreign": [one.decode() for one in foreign]}) + "\n",
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )
    if done.returncode:
        return {"sent": 0, "found": [f"the sender ended: {done.stderr[-200:]!r}"], "statuses": {}}
    return json.loads(done.stdout)


def attack(target: Target, count: int = COUNT, seed: int = 1) -> Result:
    """Send `count` mutations as one person, and a tenth as many as a person of the other tenant, at the same time."""
    host = f"127.0.0.1:{target.port}"
    people = {PERSON: (count, FOREIGN), "emma-broker-b": (count // 10, ROWS_OF[PERSON])}
    with ThreadPoolExecutor() as threads:
        # Both at once, so that an answer on the wrong connection is one with foreign rows.
        answers = [
            threads.submit(sent, target.port, requests(host, target.token(person)), many, seed, foreign)
            for person, (many, foreign) in people.items()
        ]
        ended = [one.result() for one in answers]
    found = [what for one in ended for what in one["found"]]
    # Otherwise every change would be refused at the door, and nothing behind it was tried.
    few = [one["statuses"] for one in ended if one["statuses"].get("200", 0) < one["sent"] / 20]
    found += [f"hardly any mutation was answered: {statuses}" for statuses in few]
    return Result(sum(one["sent"] for one in ended), (*found, *target.trouble()))


def control(_target: Target | None, count: int = 2_000) -> Result:
    """Send to a server that breaks on bytes beyond ASCII, and shows another tenant's row where a brace is missing."""
    with faulty_server(_breaking()) as url:
        host = urlsplit(url).netloc
        answer = sent(urlsplit(url).port or 0, requests(host, "token"), count, 1)
    holes = {"a crash": ": 500", "a foreign row": "a row of another tenant"}
    seen = {name: [one for one in answer["found"] if mark in one] for name, mark in holes.items()}
    missed = tuple(name for name, ones in seen.items() if not ones)
    return Result(answer["sent"], tuple(ones[0] for ones in seen.values() if ones), missed)


def _breaking() -> Starlette:
    async def mcp(request: Request) -> Response:
        body = await request.body()
        if any(byte < 32 or byte > 126 for byte in body):
            return Response("", 500)
        return Response(FOREIGN[0] if body.count(b"{") > body.count(b"}") else b"{}")

    return Starlette(routes=[Route("/mcp", mcp, methods=["POST"])])


ATTACK: Final = Attack("mutations", "requests with some bytes changed", str, attack, control)
