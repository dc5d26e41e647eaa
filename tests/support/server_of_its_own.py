"""A server of a test's own, with settings and tools that the shared stack must not have."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from conftest import ACCEPT, MODERN

from server.catalog.parts import Clock, utc_now
from server.dev.stack import Stack
from server.settings import AuditSettings, LimitsSettings
from support.listening import serving

SLEEP = '''
"""sleep: waits inside the database."""

from server.database.statement import Statement
from server.catalog.tool import Arguments, CodeTool, Result


class Sleep(Arguments):
    seconds: float


class Slept(Result):
    pid: int
    left_over: str | None
    slept: str


STATEMENT = Statement(
    "sleep",
    "SELECT pg_backend_pid() AS pid, 'left' AS left_over, pg_sleep($1::float8)::text AS slept",
    Slept,
)


async def sleep(arguments, access):
    (slept,) = await access.fetch(STATEMENT, arguments.seconds)
    return slept


TOOL = CodeTool(
    name="sleep", title="Sleep", description="Waits.", arguments=Sleep, result=Slept, scope=None, call=sleep
)
'''


@dataclass(frozen=True)
class OwnServer:
    """Where it listens, one person's token, and the thread of its event loop."""

    url: str
    token: str
    thread: int = 0

    def request(self, tool: str, era: str = "2025-11-25", **arguments: Any) -> tuple[dict[str, str], dict[str, Any]]:
        """Return the headers and the body of a tool call."""
        params: dict[str, Any] = {"name": tool, "arguments": arguments}
        headers = {"accept": ACCEPT, "mcp-protocol-version": era, "authorization": f"Bearer {self.token}"}
        if era == MODERN:
            headers |= {"mcp-method": "tools/call", "mcp-name": tool}
            params["_meta"] = {
                "io.modelcontextprotocol/protocolVersion": era,
                "io.modelcontextprotocol/clientCapabilities": {},
            }
        return headers, {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}

    def post(self, tool: str, era: str = "2025-11-25", timeout: float = 20, **arguments: Any) -> httpx2.Response:
        """Call a tool on a connection of its own."""
        headers, body = self.request(tool, era, **arguments)
        return httpx2.post(f"{self.url}/mcp", headers=headers, json=body, timeout=timeout)

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Return the result of a call that reached the tool."""
        response = self.post(tool, **arguments)
        assert response.status_code == 200, response.text
        return response.json()["result"]


@contextmanager
def server_of_its_own(  # what a test may want otherwise
    stack: Stack,
    person: str = "mike-broker-a",
    limits: LimitsSettings | None = None,
    *,
    clock: Clock = utc_now,
    catalog: Sequence[str] | None = None,
    changed: Mapping[str, Any] | None = None,
    **database: Any,
) -> Generator[OwnServer]:
    """Serve with the stack's settings, but for what is given: `changed` are top-level ones, the rest the database's."""
    settings = stack.settings.model_copy(
        update={
            "catalog": (*(stack.settings.catalog if catalog is None else catalog), *_MORE),
            "limits": limits or stack.settings.limits,
            "audit": AuditSettings(),
            "database": stack.settings.database.model_copy(update=database),
            **(changed or {}),
        }
    )
    with serving(settings, clock, (changed or {}).get("allowed_hosts", ())) as running:
        yield OwnServer(running.url, stack.issuer.mint(person), running.thread)


# Folders whose tools every server of its own has beside the sample's.
_MORE: list[str] = []


@contextmanager
def one_more_tool(folder: Path, name: str, source: str) -> Generator[None]:
    """Add a tool in code, as a file of a catalog folder."""
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.py").write_text(source, encoding="utf-8")
    _MORE.append(str(folder))
    try:
        yield
    finally:
        _MORE.remove(str(folder))
