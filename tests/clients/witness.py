"""A relay in front of the server that sees what a client really asked, in which protocol version, and was answered."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from support.listening import bound, listening

_HOP_BY_HOP: Final = frozenset({"host", "connection", "content-length", "transfer-encoding", "content-encoding"})


@dataclass(frozen=True, slots=True)
class Seen:
    """One answered request; `version` is None where the client named none, `result` where it was refused."""

    method: str
    version: str | None
    result: dict[str, Any] | None


class Witness:
    """Passes every request on to `target` and remembers it in `seen`."""

    def __init__(self, target: str, port: int) -> None:
        """Stand at `url`, before `target`."""
        self.target: Final = target
        self.url: Final = f"http://127.0.0.1:{port}/mcp"
        self.seen: list[Seen] = []
        self._http: Final = httpx2.AsyncClient(timeout=30, trust_env=False)
        self.app: Final = Starlette(routes=[Route("/mcp", self._relay, methods=["GET", "POST", "DELETE", "OPTIONS"])])

    async def _relay(self, request: Request) -> Response:
        body = await request.body()
        headers = [(name, value) for name, value in request.headers.items() if name not in _HOP_BY_HOP]
        answer = await self._http.request(request.method, self.target, content=body, headers=headers)
        if request.method == "POST":
            self._remember(request, json.loads(body), answer)
        kept = {name: value for name, value in answer.headers.items() if name not in _HOP_BY_HOP}
        return Response(answer.content, answer.status_code, kept)

    def _remember(self, request: Request, asked: dict[str, Any], answer: httpx2.Response) -> None:
        told = answer.json() if answer.content else {}
        self.seen.append(
            Seen(str(asked.get("method")), request.headers.get("mcp-protocol-version"), told.get("result"))
        )

    def answered(self, method: str) -> Seen | None:
        """Return the last request of a method that had a result."""
        return next((one for one in reversed(self.seen) if one.method == method and one.result is not None), None)


@contextmanager
def witness(target: str) -> Generator[Witness]:
    """Run a relay on a free port of loopback."""
    listener, _ = bound()
    relay = Witness(target, listener.getsockname()[1])
    with listening(relay.app, listener):
        yield relay
