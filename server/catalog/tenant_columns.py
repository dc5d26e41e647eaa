"""Which columns can hold a tenant id or the key between child and parent: those that an index compares exactly."""

from collections.abc import Mapping
from typing import Final, Literal

from server.catalog.declarations import Table, Through
from server.catalog.facts import ColumnFacts, RelationFacts

Facts = Mapping[str, RelationFacts]
Tables = Mapping[str, Table]
Family = Literal["text", "uuid", "integer"]

_FAMILIES: Final[Mapping[str, Family]] = {
    "text": "text",
    "character varying": "text",
    "uuid": "uuid",
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
}


def family_of(column: ColumnFacts) -> Family | None:
    """Return the type with which a column is compared with a tenant id; None when it cannot hold one safely."""
    return _FAMILIES.get(column.base) if column.kind == "b" and column.deterministic else None


def parent_key(table: Table, facts: Facts) -> str | None:
    """Return the parent's column of a child's foreign key: the declared one, or the only column of the primary key."""
    if not isinstance(table.tenant, Through):
        return None
    parent = facts.get(table.tenant.parent)
    primary = parent.primary_key if parent else ()
    return table.tenant.key or (primary[0] if len(primary) == 1 else None)


def missing_index(table: Table, facts: Facts) -> str | None:
    """Return the tenant column or foreign key if no index begins with it, else None."""
    own = facts[table.name]
    column = table.tenant.through if isinstance(table.tenant, Through) else table.tenant
    return column if column and own.kind in {"r", "p"} and column not in own.leads else None
