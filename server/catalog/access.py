"""What a tool receives: one opaque handle for one tenant, which gives no access to anything unscoped.

The database, the document store and the keys are not attributes of the handle: this module looks them up. So a tool
that is tricked into showing its handle or its attributes shows only who calls and when.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from weakref import WeakKeyDictionary

from server.audit.evidence import Evidence
from server.database.cursors import Cursors
from server.database.database import Database
from server.database.statement import Principal, R, Statement
from server.documents.tenant_documents import Passages, TenantDocuments
from server.errors import MisconfiguredError
from server.tenancy.context import TenantContext


@dataclass(frozen=True, slots=True)
class Scope:
    """The parts that one handle uses."""

    database: Database
    documents: TenantDocuments | None
    cursors: Cursors
    principal: Principal
    evidence: Evidence = field(default_factory=Evidence)


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class TenantAccess:
    """Who calls, the time of the call (UTC), and access to what one tenant may read."""

    context: TenantContext
    now: datetime

    async def fetch(self, statement: Statement[R], *values: object, shown: int | None = None) -> list[R]:
        """Run `statement` and return the rows that row level security lets this tenant see.

        `shown` is the most rows that the caller gets, for the audit record; the default is all. Raises
        UnavailableError when the database is down, busy or too slow, and WithheldError when it does not accept the
        context or enforces another one.
        """
        scope = _SCOPES[self]
        began = time.perf_counter()
        try:
            rows = await scope.database.fetch(statement, values, scope.principal)
        finally:
            scope.evidence.statement(statement.name, statement.digest, began)
        scope.evidence.rows(len(rows) if shown is None else min(len(rows), shown))
        return rows

    async def search(self, query: str, limit: int, labels: Mapping[str, str] | None = None) -> Passages:
        """Return at most `limit` passages that this tenant's tier may see, best first; `labels` can only narrow.

        The result is a list; its `left_out` counts passages without text. Raises RefusedError without a tier or when a
        rule of the store withholds the answer, WithheldError when the store returns anything that the caller may not
        see, and UnavailableError or MisconfiguredError when it fails.
        """
        scope = _SCOPES[self]
        if scope.documents is None:
            raise MisconfiguredError(
                "This server has no document store; nothing was read. A retry does not help; ask your administrator "
                "to configure one."
            )
        passages = await scope.documents.search(query, limit, labels or {})
        scope.evidence.documents(one.document for one in passages)
        return passages

    def seal_cursor(self, position: Sequence[str | None], request: str) -> str:
        """Return a cursor for the place after `position`, valid only for this caller and this `request`."""
        scope = _SCOPES[self]
        return scope.cursors.seal(position, request, scope.principal)

    def open_cursor(self, cursor: str, request: str) -> tuple[str | None, ...]:
        """Return the position; raises ArgumentsError for a cursor that is changed, expired or for another request."""
        scope = _SCOPES[self]
        return scope.cursors.open(cursor, request, scope.principal)


_SCOPES: Final[WeakKeyDictionary[TenantAccess, Scope]] = WeakKeyDictionary()


def grant_access(context: TenantContext, now: datetime, scope: Scope) -> TenantAccess:
    """Return a handle on `scope` for one call."""
    access = TenantAccess(context, now)
    _SCOPES[access] = scope
    return access
