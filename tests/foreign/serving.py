"""A server on a foreign database, called over HTTP by people of its tenants."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import httpx2
from conftest import ACCEPT
from support import listening

from server.dev.people import Person
from server.dev.stack import Stack
from server.settings import Settings


@dataclass(frozen=True)
class Client:
    """One person of one tenant, on a kept connection."""

    http: httpx2.Client
    url: str
    token: str

    def result(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the result of a call that reached the tool."""
        headers = {"accept": ACCEPT, "mcp-protocol-version": "2025-11-25", "authorization": f"Bearer {self.token}"}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        response = self.http.post(self.url, headers=headers, json=body)
        assert response.status_code == 200, response.text
        found = response.json()
        assert "result" in found, (tool, arguments, found)
        return found["result"]

    def answer(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the structured content of a call that succeeded."""
        result = self.result(tool, arguments)
        assert not result.get("isError"), (tool, arguments, result)
        return result["structuredContent"]


@dataclass(frozen=True)
class Serving:
    """A server, and an issuer whose tokens it accepts."""

    stack: Stack
    http: httpx2.Client
    url: str
    scopes: Sequence[str]

    def client(self, tenant: str, **claims: Any) -> Client:
        """Return a person of a tenant; `claims` says what else the token holds."""
        person = Person(f"person of {tenant}", str(uuid5(NAMESPACE_URL, tenant)), tenant, ())
        return Client(self.http, self.url, self.stack.issuer.mint(person, scopes=self.scopes, **claims))


@contextmanager
def serving(stack: Stack, settings: Settings, scopes: Sequence[str]) -> Generator[Serving]:
    """Serve `settings` on a port of its own."""
    with listening.serving(settings) as running, httpx2.Client(timeout=30) as http:
        yield Serving(stack, http, f"{running.url}/mcp", scopes)
