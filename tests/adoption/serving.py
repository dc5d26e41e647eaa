"""The generated tools, called over HTTP by people of several tenants and compared with the administrator's truth."""

import json
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
from adoption.place import Place
from conftest import ACCEPT
from support.server_of_its_own import server_of_its_own

from server.catalog.declarations import Table
from server.dev.stack import Stack
from server.settings import TenancySettings


@dataclass(frozen=True)
class Served:
    """A server for an adopted database."""

    place: Place
    url: str
    stack: Stack
    http: httpx2.Client
    tables: dict[str, Table]
    tokens: dict[Any, str] = field(default_factory=dict)

    def token(self, tenant: Any) -> str:
        if tenant not in self.tokens:
            scopes = sorted({table.scope for table in self.tables.values()})
            claims: Any = {"custom:tenant_id": str(tenant)}
            self.tokens[tenant] = self.stack.issuer.mint("mike-broker-a", scopes=scopes, **claims)
        return self.tokens[tenant]

    def ask(self, tenant: Any, method: str, **params: Any) -> dict[str, Any]:
        authorization = f"Bearer {self.token(tenant)}"
        headers = {"accept": ACCEPT, "mcp-protocol-version": "2025-11-25", "authorization": authorization}
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        response = self.http.post(f"{self.url}/mcp", headers=headers, json=body)
        assert response.status_code == 200, response.text
        return response.json()["result"]

    def call(self, tenant: Any, tool: str, **arguments: Any) -> dict[str, Any]:
        result = self.ask(tenant, "tools/call", name=tool, arguments=arguments)
        assert not result.get("isError"), (tool, result)
        return result["structuredContent"]

    def list_bytes(self, tenant: Any) -> tuple[int, set[str]]:
        """Return the length of the tool list, and the names of the tools."""
        result = self.ask(tenant, "tools/list")
        size = len(json.dumps(result, separators=(",", ":"), ensure_ascii=False).encode())
        return size, {tool["name"] for tool in result["tools"]}

    def rows(self, tenant: Any, table: Table) -> list[dict[str, Any]]:
        """Return all rows that the listing shows, page by page."""
        assert table.list is not None
        found: list[dict[str, Any]] = []
        arguments: dict[str, Any] = {"limit": 7}
        while True:
            page = self.call(tenant, table.list.tool, **arguments)
            found += page[table.rows_name]
            if page["next_cursor"] is None:
                return found
            arguments["cursor"] = page["next_cursor"]


@contextmanager
def served(place: Place, stack: Stack) -> Generator[Served]:
    settings = place.settings
    changed = {"tenancy": TenancySettings(id_type=settings.tenancy.id_type, tenant_lookup=False), "documents": None}
    database = settings.database.model_dump(include={"login", "url", "context_keys"})
    with (
        server_of_its_own(stack, catalog=settings.catalog, changed=changed, **database) as own,
        httpx2.Client(timeout=60) as http,
    ):
        yield Served(place, own.url, stack, http, place.tables)


def check_tools(one: Served, tenants: Iterable[Any], *, every: int = 1) -> int:
    """Call the tools of every table, or of every so-manieth one, for each tenant; return how many calls agreed."""
    called = 0
    for table in list(one.tables.values())[::every]:
        for tenant in tenants:
            truth = one.place.truth(table, tenant)
            if table.list is not None:
                rows = one.rows(tenant, table)
                assert len(rows) == truth, (table.name, tenant)
                called += 1
            if table.summary is not None:
                assert one.call(tenant, table.summary.tool)["total"]["count"] == truth, (table.name, tenant)
                called += 1
    return called
