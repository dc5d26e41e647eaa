"""The unscoped parts that one process shares, and the scoped handle that a tool receives instead."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from server.audit.evidence import Evidence
from server.catalog.access import Scope, TenantAccess, grant_access
from server.database.cursors import Cursors
from server.database.database import Database
from server.database.statement import Principal
from server.documents.configured import document_store, store_name
from server.documents.proved_store import ProvedStore
from server.documents.tenant_documents import TenantDocuments, search_places
from server.settings import Settings
from server.tenancy.context import TenantContext
from server.tenancy.limits import Limits

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the current time in UTC."""
    return datetime.now(UTC)


class Parts:
    """The database, the documents, the keys and the clock; `open` opens the connections."""

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        """Prepare what `settings` configures."""
        self.database: Final = Database(settings.database)
        self.limits: Final = Limits(settings.limits, settings.resource_url)
        self.documents: Final = (
            ProvedStore(
                document_store(settings.documents),
                settings.documents.timeout_ms / 1000,
                store_name(settings.documents),
            )
            if settings.documents
            else None
        )
        self.searches: Final = search_places()
        self._isolate_by: Final = settings.documents.isolate_by if settings.documents else ()
        self._cursors: Final = Cursors(settings.database.signing_keys())
        self._clock: Final = clock

    async def open(self) -> None:
        """Open the connections to the database and for the limits, as far as these answer."""
        await self.database.open()
        await self.limits.open()

    async def close(self) -> None:
        """Close every connection."""
        await self.limits.close()
        await self.database.close()
        if self.documents:
            self.documents.close()

    def for_tenant(self, context: TenantContext, evidence: Evidence, request: str = "") -> TenantAccess:
        """Return the handle of a tool for one verified context; `evidence` records what the tool reads.

        `request` is the id of the request, which the database can log.
        """
        principal = Principal(context.token.issuer, context.token.subject, context.tenant, context.tier, request)
        documents = None
        if self.documents:
            documents = TenantDocuments(self.documents, self._isolate_by, context, self.searches)
        scope = Scope(self.database, documents, self._cursors, principal, evidence)
        return grant_access(context, self._clock(), scope)
