"""The tenant directory: which tenants exist and are active, and to which of them a person is mapped."""

import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from server.database import Database, Principal, Statement

# How long an answer is kept: a disabled tenant or a withdrawn mapping is refused after this long at the latest.
ENTRY_LIFETIME_S: Final = 30.0
_ENTRIES_KEPT: Final = 10_000

_FIND: Final = Statement(
    "find_tenant",
    """
    SELECT t.tenant_id, t.active, m.tenant_id IS NOT NULL AS mapped
    FROM app.tenants t
    LEFT JOIN app.user_tenants m ON m.tenant_id = t.tenant_id AND m.issuer = $1 AND m.user_sub = $2
    WHERE m.tenant_id IS NOT NULL OR t.tenant_id = $3
    """,
)


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """The tenants a person is mapped to, and those of them (and of the claimed one) that are active."""

    mapped: frozenset[str]
    active: frozenset[str]


class TenantDirectory:
    """Looks people up by (issuer, subject); row level security shows each their own mappings alone."""

    def __init__(self, database: Database) -> None:
        """Ask `database`, and keep answers for ENTRY_LIFETIME_S seconds."""
        self._database: Final = database
        self._entries: Final = OrderedDict[tuple[str, str, str | None], tuple[float, DirectoryEntry]]()

    async def find(self, issuer: str, subject: str, claimed: str | None) -> DirectoryEntry:
        """Return the entry of one person; raises UnavailableError when the database cannot be asked."""
        key = (issuer, subject, claimed)
        kept = self._entries.get(key)
        if kept is not None and kept[0] > time.monotonic():
            return kept[1]
        rows = await self._database.fetch(_FIND, (issuer, subject, claimed), Principal(issuer, subject, claimed, None))
        entry = DirectoryEntry(
            frozenset(row["tenant_id"] for row in rows if row["mapped"]),
            frozenset(row["tenant_id"] for row in rows if row["active"]),
        )
        self._entries[key] = (time.monotonic() + ENTRY_LIFETIME_S, entry)
        self._entries.move_to_end(key)
        if len(self._entries) > _ENTRIES_KEPT:
            self._entries.popitem(last=False)
        return entry
