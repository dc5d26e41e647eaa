"""The tenant directory: which tenants exist and are active, and to which tenants a person is mapped."""

import asyncio
import math
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from server.database.database import Database
from server.database.statement import Principal, Statement
from server.fair_queue import FairQueue

# How long an answer is kept: at most this late, a disabled tenant or a withdrawn mapping is refused.
ENTRY_LIFETIME_S: Final = 30.0
# A person without an active tenant is looked up again this soon: an administrator may be mapping them now.
REFUSED_LIFETIME_S: Final = 2.0
_ENTRIES_KEPT: Final = 10_000
# A person's further mappings are looked up one by one, when they are asked for.
_ROWS_KEPT: Final = 100
# How many people without a tenant in their token are looked up at once. They take turns with each other, and the
# database treats all of them together as one tenant.
_LOOKED_UP_AT_ONCE: Final = 4


@dataclass(frozen=True, slots=True)
class _Tenant:
    tenant_id: str
    active: bool
    mapped: bool
    mappings: int
    active_mappings: int


# The requested tenant comes first, so that the limit never cuts it off.
_FIND: Final = Statement(
    "find_tenant",
    """
    SELECT t.tenant_id, t.active, m.tenant_id IS NOT NULL AS mapped,
           count(m.tenant_id) OVER () AS mappings,
           count(m.tenant_id) FILTER (WHERE t.active) OVER () AS active_mappings
    FROM tenancy.tenants t
    LEFT JOIN tenancy.user_tenants m ON m.tenant_id = t.tenant_id AND m.issuer = $1 AND m.user_sub = $2
    WHERE m.tenant_id IS NOT NULL OR t.tenant_id = $3
    ORDER BY (t.tenant_id = $3) IS TRUE DESC, t.active DESC, t.tenant_id
    LIMIT $4
    """,
    _Tenant,
)
_Key = tuple[str, str, str | None, bool]


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """How many tenants a person is mapped to, which of them were read, and which tenants are active.

    Of very many mappings only the first are read; the tenant that was asked about always is. The entry expires at
    `until_s`, on the monotonic clock.
    """

    mappings: int
    active_mappings: int
    mapped: frozenset[str]
    active: frozenset[str]
    until_s: float = math.inf

    @property
    def is_complete(self) -> bool:
        """Whether every mapping is among `mapped`."""
        return self.mappings == len(self.mapped)


class TenantDirectory:
    """Looks people up by (issuer, subject); row level security shows each person only their own mappings."""

    def __init__(self, database: Database) -> None:
        """Ask `database`; questions about one person at the same time share one query."""
        self._database: Final = database
        self._entries: Final = OrderedDict[_Key, DirectoryEntry]()
        self._asked: Final = dict[_Key, asyncio.Task[DirectoryEntry]]()
        self.places: Final = FairQueue(_LOOKED_UP_AT_ONCE, whose="person")

    def __len__(self) -> int:
        """Return how many answers are kept."""
        return len(self._entries)

    async def find(self, issuer: str, subject: str, tenant: str | None, *, claimed: bool) -> DirectoryEntry:
        """Return the entry about one person and, when it is given, about one tenant.

        `claimed` says that the person's token names this tenant: then its entry is shown to them even without a
        mapping. Raises UnavailableError when the database cannot be asked, and LimitError when too many questions about
        this person wait.
        """
        key = (issuer, subject, tenant, claimed)
        kept = self._entries.get(key)
        if kept is not None and kept.until_s > time.monotonic():
            return kept
        task = self._asked.get(key)
        if task is None:
            task = self._asked[key] = asyncio.create_task(self._ask(key))
            task.add_done_callback(lambda done: self._answered(key, done))
        # A caller who leaves does not cancel the query for the others.
        return await asyncio.shield(task)

    async def _ask(self, key: _Key) -> DirectoryEntry:
        issuer, subject, tenant, claimed = key
        # No context is signed for a tenant that only an address names.
        principal = Principal(issuer, subject, tenant if claimed else None, None)
        # A person whose token names a tenant waits only with that tenant's calls.
        place = None if principal.tenant else await self.places.take((issuer, subject))
        try:
            rows = await self._database.fetch(_FIND, (issuer, subject, tenant, _ROWS_KEPT), principal)
        finally:
            if place is not None:
                place.give_back()
        active = frozenset(row.tenant_id for row in rows if row.active)
        return DirectoryEntry(
            mappings=rows[0].mappings if rows else 0,
            active_mappings=rows[0].active_mappings if rows else 0,
            mapped=frozenset(row.tenant_id for row in rows if row.mapped),
            active=active,
            until_s=time.monotonic() + (ENTRY_LIFETIME_S if active else REFUSED_LIFETIME_S),
        )

    def _answered(self, key: _Key, task: asyncio.Task[DirectoryEntry]) -> None:
        del self._asked[key]
        # A failed look-up is not kept.
        if task.cancelled() or task.exception() is not None:
            return
        self._entries[key] = task.result()
        self._entries.move_to_end(key)
        if len(self._entries) > _ENTRIES_KEPT:
            self._entries.popitem(last=False)
