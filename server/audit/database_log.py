"""Compare the trail with PostgreSQL's own log, in which the database wrote the tenant and person of each statement.

Both name the request and the SHA-256 of the statement's text. A statement that only one of them has is a finding:
somebody read data without this server and with their own context, or a log was changed or lost.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from server.audit.evidence import MOST_NAMED
from server.errors import StartupError

# As tenancy.verified_context() writes it, in each of PostgreSQL's formats: plain, CSV and JSON.
_LINE: Final = re.compile(
    r'(?:LOG:  |,LOG,[0-9A-Z]{5},"|"message":")'
    r"tenantgate request=(\S*) statement=([0-9a-f]{64}) tenant=(\S*) issuer="
)
# The sender of a statement wrote the text after one of these words.
_FOREIGN: Final = re.compile(r"(?:ERROR|FATAL|WARNING|NOTICE|INFO|STATEMENT|QUERY|CONTEXT|DETAIL|HINT):  ")
Kind = Literal["not in the database's log", "not in the trail", "another tenant"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: a statement (its SHA-256) of a request."""

    kind: Kind
    request: str
    statement: str
    tenant: str

    def as_json(self) -> dict[str, str]:
        """Return the fields."""
        return {"kind": self.kind, "request": self.request, "statement": self.statement, "tenant": self.tenant}


@dataclass(slots=True)
class DatabaseLog:
    """The statements that a database's log names, by their requests."""

    # By request, then by statement: the tenant.
    statements: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    # The number of statements without a request: the server's own, to look up tenants and to prove isolation.
    own: int = 0

    def add(self, lines: Iterable[str]) -> None:
        """Add the lines of a log; lines that are not about a verified context are skipped."""
        for line in lines:
            # A continued line is indented, so no text of a caller can begin a line.
            found = None if line.startswith("\t") else _LINE.search(line)
            if found is None or _FOREIGN.search(line, 0, found.start()):
                continue
            request, statement, tenant = found.groups()
            if not request:
                self.own += 1
            else:
                self.statements.setdefault(request, {})[statement] = tenant


def read_logs(files: Iterable[Path]) -> DatabaseLog:
    """Return what the files say; raise StartupError with the name of a file that cannot be read."""
    log = DatabaseLog()
    for file in files:
        try:
            with file.open(encoding="utf-8", errors="replace") as lines:
                log.add(lines)
        except OSError as error:
            raise StartupError(
                f"the database's log {file} cannot be read: {error.strerror}; correct its path or its rights"
            ) from error
    return log


def differences(records: Iterable[dict[str, Any]], log: DatabaseLog) -> Iterator[Difference]:
    """Yield what only one of the two has of a request, in the trail's order, then in the log's.

    A failed call may have failed before the database received its statement, so it need not be in the log.
    """
    seen = set[str]()
    for record in records:
        named = {str(one["digest"]): None for one in record.get("statements", ())}
        request = str(record.get("request"))
        ran = log.statements.get(request, {})
        seen.add(request)
        tenant = str(record.get("tenant", ""))
        if record.get("outcome") == "answered":
            for statement in named.keys() - ran.keys():
                yield Difference("not in the database's log", request, statement, tenant)
        for statement, theirs in ran.items():
            # A record names at most this many statements; further ones were only counted.
            if statement not in named and len(record.get("statements", ())) < MOST_NAMED:
                yield Difference("not in the trail", request, statement, theirs)
            elif theirs != tenant:
                yield Difference("another tenant", request, statement, theirs)
    for request, ran in log.statements.items():
        if request not in seen:
            for statement, tenant in ran.items():
                yield Difference("not in the trail", request, statement, tenant)
