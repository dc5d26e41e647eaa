"""The unscoped parts that one process shares, and the scoped handles that a tool is given in their place."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from server.catalog.tool import TenantAccess
from server.database.cursors import Cursors
from server.database.database import Database, TenantDatabase
from server.database.statement import Principal
from server.documents.configured import document_store
from server.documents.tenant_documents import TenantDocuments
from server.settings import Settings
from server.tenancy.context import TenantContext
from server.tenancy.limits import Limits


def _now() -> datetime:
    return datetime.now(UTC)


class Resources:
    """The database, the documents, the keys and the clock; nothing is opened yet."""

    def __init__(self, settings: Settings, clock: Callable[[], datetime] = _now) -> None:
        """Prepare what `settings` configures."""
        self.database: Final = Database(settings.database)
        self.limits: Final = Limits(settings.limits)
        self._store: Final = document_store(settings.documents) if settings.documents else None
        self._isolate_by: Final = settings.documents.isolate_by if settings.documents else ()
        self._keys: Final = settings.database.signing_keys()
        self._clock: Final = clock

    async def close(self) -> None:
        """Close every connection."""
        await self.database.close()
        if self._store:
            self._store.close()

    def for_tenant(self, context: TenantContext) -> TenantAccess:
        """Return all that a tool may hold for one verified context."""
        principal = Principal(context.token.issuer, context.token.subject, context.tenant, context.tier)
        return TenantAccess(
            context=context,
            database=TenantDatabase(self.database, principal),
            documents=TenantDocuments(self._store, self._isolate_by, context) if self._store else None,
            cursors=Cursors(self._keys, principal),
            now=self._clock(),
        )
