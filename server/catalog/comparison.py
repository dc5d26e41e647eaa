"""Compare a declared table with the database: relation, columns, types, key."""

from collections.abc import Iterator, Mapping
from typing import Final

from server.catalog.columns import Column
from server.catalog.declarations import Table
from server.catalog.facts import ColumnFacts, RelationFacts

_KINDS: Final = {"m": "a materialized view", "f": "a foreign table"}
_TEXTS: Final = frozenset({"text", "character varying", "character", "name", '"char"', "citext"})
_INTEGERS: Final = frozenset({"smallint", "integer", "bigint"})
# The PostgreSQL types, without domains and modifiers, that each declared type accepts.
_TYPES: Final[Mapping[str, frozenset[str]]] = {
    "integer": _INTEGERS,
    "decimal": _INTEGERS | {"numeric", "real", "double precision", "money"},
    "boolean": frozenset({"boolean"}),
    "date": frozenset({"date"}),
    "timestamp": frozenset({"timestamp with time zone", "timestamp without time zone"}),
    "uuid": frozenset({"uuid"}),
    "json": frozenset({"json", "jsonb"}),
}
# Types that a cursor can carry: their text means the same value under all settings.
_IN_A_KEY: Final = (
    _TEXTS
    | _INTEGERS
    | frozenset({"numeric", "real", "double precision", "boolean", "uuid", "date", "oid"})
    | _TYPES["timestamp"]
)
# Fixed in size, and with leakproof comparisons.
_FOUND_IN_AN_INDEX: Final = _INTEGERS | {"real", "double precision", "date", "uuid"} | _TYPES["timestamp"]


def differences(table: Table, facts: RelationFacts | None) -> Iterator[str]:
    """Yield one sentence for each difference between the declaration and the database."""
    if facts is None:
        yield "does not exist; correct its name, or create it"
        return
    if facts.kind in _KINDS:
        yield f"is {_KINDS[facts.kind]}, which cannot have row level security; declare a table or a view"
        return
    for name, column in table.columns.items():
        database_name = table.column_of(name)
        found = facts.columns.get(database_name)
        if found is None:
            yield f"columns.{name}: the relation has no column {database_name}; correct its name"
        else:
            yield from (f"columns.{name}: {problem}" for problem in _column_differences(column, found, facts.kind))
        if column.sort_by is not None:
            yield from (f"columns.{name}.sort_by: {problem}" for problem in _sort_problems(column.sort_by, facts))
    yield from _key_differences(table, facts)


def _column_differences(column: Column, facts: ColumnFacts, kind: str) -> Iterator[str]:
    if not _fits(column.type, facts):
        yield f"is declared {column.type} and is {facts.type}; declare {_suggested(facts)}"
    elif column.type == "text" and (column.filter or column.sort or column.group) and not _is_text(facts):
        yield f"is {facts.type}, which cannot be filtered, sorted or grouped; remove those keys"
    # PostgreSQL does not record whether the columns of a view can be null.
    if not column.nullable and not facts.not_null and kind != "v":
        yield "is declared nullable = false but may be NULL; remove that, or make the column NOT NULL"


def _sort_problems(name: str, facts: RelationFacts) -> Iterator[str]:
    found = facts.columns.get(name)
    if found is None:
        yield f"the relation has no column {name}; correct its name, or run `tenantgate migrate` if a migration adds it"
    elif found.base not in _FOUND_IN_AN_INDEX:
        yield f"{name} is {found.type}, by which sort_by cannot sort; use bigint"
    elif found.generated == "v":
        yield f"{name} is a virtual generated column, which cannot have an index; make it STORED"


def _fits(declared: str, facts: ColumnFacts) -> bool:
    base = facts.base
    if declared.endswith("[]"):
        return base.endswith("[]") and _base_fits(declared.removesuffix("[]"), base.removesuffix("[]"))
    return not base.endswith("[]") and _base_fits(declared, base)


def _base_fits(declared: str, base: str) -> bool:
    # Every type has a text form; only enums and texts can also be filtered, sorted and grouped.
    return True if declared == "text" else base in _TYPES[declared]


def _is_text(facts: ColumnFacts) -> bool:
    return facts.kind == "e" or facts.base in _TEXTS


def _suggested(facts: ColumnFacts) -> str:
    base, brackets = facts.base.removesuffix("[]"), "[]" if facts.base.endswith("[]") else ""
    return next((declared for declared, bases in _TYPES.items() if base in bases), "text") + brackets


def _key_differences(table: Table, facts: RelationFacts) -> Iterator[str]:
    missing = [column for column in table.key if column not in facts.columns]
    if missing:
        yield f"key: the relation has no column {missing[0]}; correct its name"
        return
    key = table.key or facts.primary_key
    if not key:
        if table.list:
            yield "key: it has no primary key; name columns that are unique and not null, or leave out list"
        return
    if table.key and facts.kind != "v" and not any(set(unique) <= set(table.key) for unique in facts.keys):
        named = ", ".join(table.key)
        yield f"key: no unique index over NOT NULL columns covers ({named}); name such columns, or add an index"
    for column in key:
        found = facts.columns[column]
        if found.kind != "e" and found.base not in _IN_A_KEY:
            yield f"key: {column} is {found.type}, which a cursor cannot contain; name other columns"
