"""What belongs to others, as the owners of the database and of the documents see it, and whether any of it came out.

Two measurements that do not depend on each other. The walls now: how many rows of each tenant the service's login
reads, in the state that the attempt left. The answer: whether it has a value that is only in rows of other tenants, or
a passage of another tier. A value that the person wrote themselves is no evidence.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx2
import psycopg
from psycopg import sql

from client_demo.attempts.person import Person
from client_demo.attempts.place import Place

# The sample's protected tables, and the columns whose values show whose row it is.
TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "app.claims": ("claim_number", "customer_name", "claim_amount", "description"),
    "app.claims_by_day": (),
}
_KNOWLEDGE_BASE: Final = "TENANTGATE"
_NO_DOCUMENTS: Final[tuple[dict[str, int], frozenset[str]]] = ({}, frozenset())
_SHORTEST_VALUE: Final = 4


@dataclass(frozen=True, slots=True)
class Others:
    """What the person must not receive.

    `rows` has, for each table, the rows of each tenant. `passages` are the texts of other tiers; `tiers` has the
    passages of each tier.
    """

    rows: Mapping[str, Mapping[str, int]]
    values: frozenset[str]
    claim: str
    tiers: Mapping[str, int]
    passages: frozenset[str]

    def found_in(self, texts: Iterable[str], written: str) -> list[str]:
        """Return the values of others that are in `texts`, apart from those that the person wrote."""
        whole, own_words = "\n".join(texts), written.casefold()
        return sorted(value for value in self.values if value in whole and value.casefold() not in own_words)

    def passages_in(self, texts: Iterable[str]) -> list[str]:
        """Return the passages of other tiers that are in `texts`."""
        whole = "\n".join(texts)
        return sorted(passage for passage in self.passages if passage in whole)

    def total(self, table: str) -> int:
        """Return how many rows the owner sees."""
        return sum(self.rows[table].values())


def read_others(place: Place, person: Person, *, documents: bool = True) -> Others:
    """Return what others own; raises psycopg.Error or httpx2.HTTPError when the owner's view is not there."""
    rows: dict[str, dict[str, int]] = {}
    own: set[str] = set()
    foreign: set[str] = set()
    claim = ""
    # Only this page's own statements run as the owner, never a person's.
    with psycopg.connect(place.owner_url, autocommit=True, connect_timeout=5) as owner:
        owner.read_only = True
        for table, columns in TABLES.items():
            rows[table] = {str(tenant): int(count) for tenant, count in owner.execute(counting(table))}
            for tenant, *values in owner.execute(_telling(table, columns)) if columns else ():
                mine = str(tenant) == person.tenant
                (own if mine else foreign).update(text for text in map(str, values) if len(text) >= _SHORTEST_VALUE)
                claim = claim or ("" if mine else str(values[0]))
    tiers, passages = _documents(place, person) if documents else _NO_DOCUMENTS
    return Others(rows, frozenset(foreign - own), claim, tiers, passages)


def counting(table: str) -> sql.Composed:
    """Return the statement that counts the rows of each tenant."""
    return sql.SQL("SELECT tenant_id, count(*) FROM {} GROUP BY tenant_id").format(_identifier(table))


def others_or_none(place: Place, person: Person, *, documents: bool = True) -> Others | None:
    """Return what others own, None when the owner's view is not there: then nothing can be said."""
    try:
        return read_others(place, person, documents=documents)
    except (psycopg.Error, httpx2.HTTPError, LookupError, ValueError):
        return None


def _telling(table: str, columns: tuple[str, ...]) -> sql.Composed:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    return sql.SQL("SELECT tenant_id, {} FROM {} ORDER BY tenant_id, {}").format(
        names, _identifier(table), sql.Identifier(columns[0])
    )


def _identifier(table: str) -> sql.Identifier:
    return sql.Identifier(*table.split("."))


def _documents(place: Place, person: Person) -> tuple[dict[str, int], frozenset[str]]:
    """Return the passages of each tier and the texts of other tiers, from a search without a filter."""
    if place.knowledge_base_url is None:
        return {}, frozenset()
    body: dict[str, Any] = {
        "retrievalQuery": {"text": "insurance"},
        "retrievalConfiguration": {"vectorSearchConfiguration": {"numberOfResults": 100}},
    }
    with httpx2.Client(timeout=10, trust_env=False) as http:
        address = f"{place.knowledge_base_url}/knowledgebases/{_KNOWLEDGE_BASE}/retrieve"
        found = http.post(address, json=body).raise_for_status().json()["retrievalResults"]
    tiers: dict[str, int] = {}
    texts: dict[bool, set[str]] = {True: set(), False: set()}
    for passage in found:
        tier = str(passage["metadata"].get("tier"))
        tiers[tier] = tiers.get(tier, 0) + 1
        texts[tier == person.tier].add(str(passage["content"]["text"]))
    return tiers, frozenset(texts[False] - texts[True])
