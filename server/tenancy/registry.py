"""The tenant directory: which tenants exist and are active, and to which of them a person is mapped."""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from server.database.database import Database
from server.database.statement import Principal, Statement

# How long an answer is kept: a disabled tenant or a withdrawn mapping is refused after this long at the latest.
ENTRY_LIFETIME_S: Final = 30.0
# A person without an active tenant is asked about again this soon, for an administrator may just be mapping them.
REFUSED_LIFETIME_S: Final = 2.0
_ENTRIES_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class _Tenant:
    tenant_id: str
    active: bool
    mapped: bool


_FIND: Final = Statement(
    "find_tenant",
    """
    SELECT t.tenant_id, t.active, m.tenant_id IS NOT NULL AS mapped
    FROM tenancy.tenants t
    LEFT JOIN tenancy.user_tenants m ON m.tenant_id = t.tenant_id AND m.issuer = $1 AND m.user_sub = $2
    WHERE m.tenant_id IS NOT NULL OR t.tenant_id = $3
    """,
    _Tenant,
)
_Key = tuple[str, str, str | None]


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """The tenants a person is mapped to, and those of them (and of the claimed one) that are active."""

    mapped: frozenset[str]
    active: frozenset[str]


class TenantDirectory:
    """Looks people up by (issuer, subject); row level security shows each their own mappings alone."""

    def __init__(self, database: Database) -> None:
        """Ask `database`, once for all that ask about one person at the same time."""
        self._database: Final = database
        self._entries: Final = OrderedDict[_Key, tuple[float, DirectoryEntry]]()
        self._asked: Final = dict[_Key, asyncio.Task[DirectoryEntry]]()

    async def find(self, issuer: str, subject: str, claimed: str | None) -> DirectoryEntry:
        """Return the entry of one person; raises UnavailableError when the database cannot be asked."""
        key = (issuer, subject, claimed)
        kept = self._entries.get(key)
        if kept is not None and kept[0] > time.monotonic():
            return kept[1]
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.create_task(self._ask(key))
            task.add_done_callback(lambda done: self._answered(key, done))
        # One caller who leaves does not take the answer from the others.
        return await asyncio.shield(task)

    async def _ask(self, key: _Key) -> DirectoryEntry:
        issuer, subject, claimed = key
        rows = await self._database.fetch(_FIND, key, Principal(issuer, subject, claimed, None))
        return DirectoryEntry(
            frozenset(row.tenant_id for row in rows if row.mapped),
            frozenset(row.tenant_id for row in rows if row.active),
        )

    def _answered(self, key: _Key, task: asyncio.Task[DirectoryEntry]) -> None:
        del self._asked[key]
        # An outage is no answer, so it is not kept.
        if task.cancelled() or task.exception() is not None:
            return
        entry = task.result()
        lifetime = ENTRY_LIFETIME_S if entry.active else REFUSED_LIFETIME_S
        self._entries[key] = (time.monotonic() + lifetime, entry)
        self._entries.move_to_end(key)
        if len(self._entries) > _ENTRIES_KEPT:
            self._entries.popitem(last=False)
