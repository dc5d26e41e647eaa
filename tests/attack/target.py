"""What is attacked: a real server on real PostgreSQL without budgets, and what it left in its log and audit trail."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx2
from pydantic import SecretStr
from support.audit import KEY, PUBLIC
from support.server_of_its_own import server_of_its_own

from server.audit.verify import verify
from server.dev.stack import Stack
from server.settings import AuditSettings, LimitsSettings

ACCEPT: Final = "application/json, text/event-stream"
# What only the other tenant's rows hold: no request of an attack has it, so an answer with it is a leak.
ROWS_OF: Final = {
    "mike-broker-a": (b"Alice Johnson", b"Bob Williams", b"Carol Martinez"),
    "emma-broker-b": (b"David Chen", b"Eva Lindqvist"),
}
PERSON: Final = "mike-broker-a"
FOREIGN: Final = ROWS_OF["emma-broker-b"]
_TROUBLE: Final = ("Traceback", '"a request failed"', "a request failed ", "Exception in ASGI application")
_UNLIMITED: Final = LimitsSettings(calls_per_minute_per_tenant=0, calls_per_minute_per_person=0)


@dataclass(frozen=True)
class Target:
    """A server that is attacked, and the parts around it that an oracle asks."""

    stack: Stack
    url: str
    trail: Path
    log: Callable[[], str]

    @property
    def port(self) -> int:
        """The server's port on loopback."""
        return urlsplit(self.url).port or 0

    def token(self, person: str = PERSON) -> str:
        """Return a genuine token of a sample person."""
        return self.stack.issuer.mint(person)

    def headers(self, person: str = PERSON) -> dict[str, str]:
        """Return the headers of a person's request."""
        shared = {"accept": ACCEPT, "content-type": "application/json", "mcp-protocol-version": "2025-11-25"}
        return shared | {"authorization": f"Bearer {self.token(person)}"}

    def trouble(self) -> list[str]:
        """Return what an attack did to the server: a traceback in its log, a trail that does not verify, no answer."""
        found = [f"in the log: {line}" for line in self.log().splitlines() if any(one in line for one in _TROUBLE)]
        found += [f"the audit trail: {one.broken.problem}" for one in verify(self.trail, PUBLIC) if one.broken]
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "query_claims", "arguments": {}}}
        answer = httpx2.post(f"{self.url}/mcp", json=body, headers=self.headers(), timeout=20)
        if answer.status_code != 200 or not all(one in answer.content for one in ROWS_OF[PERSON]):
            found.append(f"afterwards a caller is answered with {answer.status_code}: {answer.text[:100]}")
        return found


@contextmanager
def attacked(stack: Stack, folder: Path, log: Callable[[], str]) -> Generator[Target]:
    """Serve with the stack's settings, a trail in `folder` and without budgets; `log` returns what was logged."""
    trail = folder / "audit.jsonl"
    audit = AuditSettings(path=trail, signing_key=SecretStr(KEY.text()))
    with server_of_its_own(stack, limits=_UNLIMITED, changed={"audit": audit}) as server:
        yield Target(stack, server.url, trail, log)
