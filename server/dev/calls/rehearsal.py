"""What a tool sends for given arguments: it runs again, on parts that note the first request and answer nothing."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

from server.auth.access_token import AccessToken
from server.catalog.access import TenantAccess
from server.catalog.tool import Tool
from server.database.statement import R, Statement
from server.documents.bedrock.retrieval_filter import retrieval_filter
from server.documents.store import Condition, FoundPassage
from server.documents.tenant_documents import Passages, TenantDocuments
from server.errors import ForbiddenError, ToolError
from server.tenancy.context import TenantContext


class _NotedError(Exception):
    """The tool has sent its first request; what would follow depends on the answer."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The first request of a tool: SQL with its values, or a search with its filter; both None when there is none."""

    sql: str | None = None
    digest: str | None = None
    values: tuple[str, ...] = ()
    filter: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class _Noting(TenantAccess):
    """A handle that reads nothing."""

    isolate_by: Sequence[str]
    noted: list[Sent] = field(default_factory=list[Sent])

    async def fetch(self, statement: Statement[R], *values: object, shown: int | None = None) -> list[R]:
        """Note the statement."""
        del shown
        self.noted.append(Sent(statement.text, statement.digest, tuple(map(_written, values))))
        raise _NotedError

    async def search(self, query: str, limit: int, labels: Mapping[str, str] | None = None) -> Passages:
        """Note the filter, which the same code makes as for a real search."""
        documents = TenantDocuments(_NotingStore(self.noted), self.isolate_by, self.context)
        return await documents.search(query, limit, labels or {})

    def open_cursor(self, cursor: str, request: str) -> NoReturn:
        """Stop: what a cursor holds is for the server alone."""
        del cursor, request
        raise _NotedError


@dataclass(frozen=True, slots=True)
class _NotingStore:
    noted: list[Sent]

    async def search(self, query: str, conditions: Sequence[Condition], limit: int) -> list[FoundPassage]:
        del query, limit
        self.noted.append(Sent(filter=retrieval_filter(conditions)))
        raise _NotedError

    def close(self) -> None:
        """Hold nothing."""


async def rehearse(tool: Tool, arguments: dict[str, Any], record: Mapping[str, Any], isolate_by: Sequence[str]) -> Sent:
    """Return what `tool` sent first for the call of `record`; nothing where the arguments or the caller are refused."""
    scopes = frozenset(str(record.get("scopes", "")).split())
    token = AccessToken(record["issuer"], record["subject"], record.get("client"), scopes, 0, {})
    context = TenantContext(record.get("tenant"), record.get("tier"), token)
    access = _Noting(context, datetime.fromtimestamp(record["time"], UTC), isolate_by)
    with suppress(_NotedError, ToolError, ForbiddenError):
        await tool.answer(arguments, access)
    return access.noted[0] if access.noted else Sent()


def _written(value: object) -> str:
    return "NULL" if value is None else str(value)
