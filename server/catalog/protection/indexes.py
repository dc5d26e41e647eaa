"""The missing indexes of a table: one to find a tenant's rows, and one for each declared sort."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from math import inf
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from server.catalog.declarations import Table, Through
from server.catalog.facts import ColumnFacts, RelationFacts, read_facts
from server.catalog.ordering import (
    OrderIndex,
    OrderKey,
    declared_orders,
    is_complete,
    most_characters,
    order_index,
    order_indexes,
    shares,
    slow_orders,
    unserved_orders,
)
from server.catalog.protection.exposure import Relation, full_name, parts_of
from server.catalog.protection.script import Script, object_name
from server.catalog.protection.subject import Subject
from server.catalog.tenant_columns import missing_index

# Of four bytes each they fit into an entry of an index, which has at most a third of a page.
_MOST_CHARACTERS: Final = 650
_UNFINISHED: Final[LiteralString] = """
SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND n.nspname = $1 AND c.relname = $2
"""


def write_indexes(script: Script, subject: Subject) -> None:
    """Add the missing indexes, before the transaction."""
    for write in index_parts(subject):
        script.gap()
        write(script)


def index_parts(subject: Subject) -> Iterator[Callable[[Script], None]]:
    """Yield a function that adds each missing index; an inheritance child needs its own index."""
    own, served = subject.own, set[str]()
    if (column := missing_index(subject.table, subject.facts)) is not None:
        index = required_index(subject.table, own)
        served.add(repr(index.keys))
        yield partial(_write_required, subject=subject, index=index, column=column)
    if own.kind == "r" and subject.table.tenant is not None:
        for child in _children_without(subject):
            yield partial(_write_for_child, subject=subject, child=child)
    for sort in [*unserved_orders(subject.table, own), *slow_orders(subject.table, own)]:
        indexes = order_indexes(subject.table, own, sort)
        if repr(indexes[0].keys) not in served:
            served.add(repr(indexes[0].keys))
            yield partial(_write_for_sort, subject=subject, indexes=indexes, sort=sort)
    if isinstance(subject.table.tenant, Through) and any(declared_orders(subject.table)):
        yield partial(_write_of_child, subject=subject)


def required_index(table: Table, own: RelationFacts) -> OrderIndex:
    """Return the index that a table must have: by its tenant, then in the order of its listing if possible."""
    if isinstance(table.tenant, Through):
        return OrderIndex((OrderKey(table.tenant.through),))
    if table.list is None or not is_complete(table, own):
        return OrderIndex((OrderKey(table.tenant or ""),))
    sort = (table.list.sort or "").removeprefix("-") or None
    if shares(table, own, sort) is not None:
        # That order has two indexes of its own.
        sort = None
    return order_index(table, own, sort)


def index_statement(relation: Relation, index: OrderIndex, how: LiteralString, name: str | None = None) -> sql.Composed:
    """Return the statement that creates the index on one relation, if it does not exist."""
    columns = sql.SQL(", ").join(one.expression(sql.Identifier(one.column)) for one in index.keys)
    statement = sql.SQL("{} IF NOT EXISTS {} ON {} ({})").format(
        sql.SQL(how), sql.Identifier(name or index_name(relation, index.keys)), relation.identifier, columns
    )
    if index.beside:
        statement += sql.SQL(" INCLUDE ({})").format(sql.Identifier(index.beside))
    if index.share:
        statement += sql.SQL(" WHERE {}").format(index.share.condition(sql.Identifier(index.share.column)))
    return statement


def drop_unfinished(script: Script, connection: psycopg.Connection[Any], schema: str, name: str) -> bool:
    """Drop the invalid index of a failed CREATE INDEX CONCURRENTLY; return whether there was one."""
    found = bool(connection.execute(_UNFINISHED, (schema, name)).fetchall())
    if found:
        script.say("An earlier attempt did not finish.")
        script.run(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(schema, name)))
    return found


def index_name(relation: Relation, keys: Sequence[OrderKey]) -> str:
    """Return the name of the index that finds a tenant's rows."""
    return object_name(relation.name, keys[0].column, "tenantgate")


def _sort_name(relation: Relation, table: Table, index: OrderIndex) -> str:
    first, share = index.keys[1 if table.tenant_column and len(index.keys) > 1 else 0], index.share
    # The name contains the length, since another length needs another index.
    length = share.characters if share else first.characters
    parts = [*([str(length)] if length else []), *(["longer" if share.rest else "short"] if share else [])]
    return object_name(relation.name, first.column, *parts, "sorted")


def _write_required(script: Script, subject: Subject, index: OrderIndex, column: str) -> None:
    script.say(
        f"Without an index that begins with {column}, each query reads the rows of all tenants. Writers wait while "
        "it is built, about 0.7 s per million rows."
    )
    _write_statement(script, subject, subject.relation, index)


def _children_without(subject: Subject) -> Iterator[Relation]:
    children = {full_name(one): one for one in parts_of(subject.connection, subject.relation)}
    facts = read_facts(subject.connection, children)
    for name, child in children.items():
        if name not in facts or facts[name].kind != "r":
            continue
        if required_index(subject.table, facts[name]).keys[0].column not in facts[name].leads:
            yield child


def _write_for_child(script: Script, subject: Subject, child: Relation) -> None:
    script.say("An index of the parent does not serve an inheritance child.")
    facts = read_facts(subject.connection, [full_name(child)])
    _write_statement(script, subject, child, required_index(subject.table, facts[full_name(child)]))


def _write_statement(
    script: Script, subject: Subject, relation: Relation, index: OrderIndex, name: str | None = None
) -> None:
    name = name or index_name(relation, index.keys)
    drop_unfinished(script, subject.connection, relation.schema, name)
    if subject.own.kind == "p":
        script.say(
            "On a large table in use: CREATE INDEX … ON ONLY it, CREATE INDEX CONCURRENTLY on each partition, then "
            "ALTER INDEX … ATTACH PARTITION for each of them."
        )
    else:
        script.say("On a large table in use, run this first, on its own and outside a transaction:")
        script.suggest(index_statement(relation, index, "CREATE INDEX CONCURRENTLY", name))
    script.run(index_statement(relation, index, "CREATE INDEX", name))


def _write_for_sort(script: Script, subject: Subject, indexes: list[OrderIndex], sort: str | None) -> None:
    relation, table = subject.relation, subject.table
    order = f"sorted by {sort}" if sort else "in the order of its key"
    script.say(
        f"A page {order}, in either direction: without this index each one sorts all rows of its tenant, a second and "
        "more where it has a million. With it, each insert has one more entry to write."
    )
    if sort and _may_be_too_long(subject.own.columns[table.sort_column_of(sort)], table.columns[sort].max_length):
        script.say(
            f"DECIDE. A value of {sort} with more than about 2,700 bytes cannot be indexed, and its INSERT would fail. "
            f"Run this if there is none, or declare a max_length of at most {_MOST_CHARACTERS} for the column."
        )
        for one in indexes:
            script.suggest(index_statement(relation, one, "CREATE INDEX", _sort_name(relation, table, one)))
        return
    if len(indexes) > 1:
        script.say(
            "Each row is in one of two: the texts that are shown whole, which are found by the text itself, and the "
            "others, which are sorted by the part that is shown. They replace an index of all rows by that part."
        )
    for one in indexes:
        _write_statement(script, subject, relation, one, _sort_name(relation, table, one))


def _may_be_too_long(facts: ColumnFacts, max_length: int | None) -> bool:
    most = min(max_length or inf, most_characters(facts))
    return facts.base in {"text", "character varying"} and most > _MOST_CHARACTERS


def _write_of_child(script: Script, subject: Subject) -> None:
    script.say(
        "No index has a child's rows in the order of a declared sort, for the keys of its tenant's parents are many: a "
        "page sorts all rows of its tenant. Where a tenant has many, give the table a tenant column of its own: "
        f"`tenantgate tools sql {subject.table.name} --own-column`."
    )
