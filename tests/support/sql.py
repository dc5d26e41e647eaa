"""SQL tools of a test's own, served beside the sample to one person of each tenant."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from conftest import ACCEPT

from server.dev.stack import Stack
from support.server_of_its_own import OwnServer, server_of_its_own


@dataclass(frozen=True)
class SqlServer:
    """A server with SQL tools, as Mike of broker-a and Emma of broker-b call it."""

    mike: OwnServer
    emma: OwnServer

    def rows(self, tool: str, **arguments: Any) -> list[dict[str, Any]]:
        """Return the rows that Mike gets."""
        return rows_of(self.mike, tool, **arguments)

    def described(self, tool: str) -> dict[str, Any]:
        """Return the entry of tools/list."""
        headers = {"accept": ACCEPT, "authorization": f"Bearer {self.mike.token}"}
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        listed = httpx2.post(f"{self.mike.url}/mcp", headers=headers, json=body, timeout=20).json()["result"]["tools"]
        return next(entry for entry in listed if entry["name"] == tool)


def rows_of(person: OwnServer, tool: str, **arguments: Any) -> list[dict[str, Any]]:
    """Return the rows that a person gets."""
    result = person.call(tool, **arguments)
    assert not result["isError"], result
    return result["structuredContent"]["rows"]


def declared(
    name: str, sql: str, columns: Mapping[str, str], parameters: Mapping[str, str] | None = None, more: str = ""
) -> str:
    """Return a [[tool]] entry; `columns` has types, `parameters` what follows the description."""
    lines = ["[[tool]]", f'name = "{name}"', 'description = "Of a test."', 'scope = "claims:read"']
    lines += [f"sql = '''\n{sql}'''", more]
    lines += [f'columns.{column} = {{ type = "{kind}" }}' for column, kind in columns.items()]
    lines += [f'parameters.{one} = {{ description = "P.", {said} }}' for one, said in (parameters or {}).items()]
    return "\n".join([*lines, "", ""])


@contextmanager
def sql_server(stack: Stack, folder: Path, text: str, **database: Any) -> Generator[SqlServer]:
    """Serve the entries of `text` beside the sample."""
    folder.mkdir(exist_ok=True)
    (folder / "reports.toml").write_text(text, encoding="utf-8")
    with server_of_its_own(stack, catalog=["sample", str(folder)], **database) as mike:
        yield SqlServer(mike, OwnServer(mike.url, stack.issuer.mint("emma-broker-b")))
