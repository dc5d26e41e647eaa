"""The index by which a tenant's rows are found, where there is none."""

from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from server.catalog.declarations import Table, Through
from server.catalog.facts import RelationFacts, read_facts
from server.catalog.protection.exposure import Relation, full_name, parts_of
from server.catalog.protection.script import Script, listed, object_name
from server.catalog.protection.subject import Subject
from server.catalog.tenant_columns import missing_index

_UNFINISHED: Final[LiteralString] = """
SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND n.nspname = $1 AND c.relname = $2
"""


def write_indexes(script: Script, subject: Subject) -> None:
    """Add the index that is missing, before the transaction; an inheritance child needs one of its own."""
    if subject.table.tenant is None:
        return
    if (column := missing_index(subject.table, subject.facts)) is not None:
        script.gap()
        script.say(
            f"Without an index that begins with {column}, each query reads the rows of all tenants. Writers wait while "
            "it is built, about 0.7 s per million rows."
        )
        _write(script, subject, subject.relation, index_columns(subject.table, subject.own))
    if subject.own.kind == "r":
        _write_for_children(script, subject)


def index_columns(table: Table, own: RelationFacts) -> list[str]:
    """Return the columns of the index; those that the listing sorts by follow, so that a page is read in order."""
    if isinstance(table.tenant, Through):
        return [table.tenant.through]
    columns = [table.tenant or ""]
    if table.list is not None:
        columns += [table.column_of(table.list.sort.removeprefix("-"))] if table.list.sort else []
        columns += table.key or own.primary_key
    return [column for column in dict.fromkeys(columns) if column in own.columns]


def index_statement(relation: Relation, columns: list[str], how: LiteralString) -> sql.Composed:
    """Return the statement that creates the index on one relation; run again, it does nothing."""
    return sql.SQL("{} IF NOT EXISTS {} ON {} ({})").format(
        sql.SQL(how), sql.Identifier(index_name(relation, columns)), relation.identifier, listed(columns)
    )


def drop_unfinished(script: Script, connection: psycopg.Connection[Any], schema: str, name: str) -> bool:
    """Remove what a CREATE INDEX CONCURRENTLY that failed has left behind; say whether there was anything."""
    found = bool(connection.execute(_UNFINISHED, (schema, name)).fetchall())
    if found:
        script.say("An earlier attempt did not finish.")
        script.run(sql.SQL("DROP INDEX IF EXISTS {}").format(sql.Identifier(schema, name)))
    return found


def index_name(relation: Relation, columns: list[str]) -> str:
    """Return the name of the index that index_statement creates."""
    return object_name(relation.name, columns[0], "tenantgate")


def _write_for_children(script: Script, subject: Subject) -> None:
    children = {full_name(one): one for one in parts_of(subject.connection, subject.relation)}
    facts = read_facts(subject.connection, children)
    for name, child in children.items():
        columns = index_columns(subject.table, facts[name]) if name in facts and facts[name].kind == "r" else []
        if columns and columns[0] not in facts[name].leads:
            script.gap()
            script.say("An index of the parent does not serve an inheritance child.")
            _write(script, subject, child, columns)


def _write(script: Script, subject: Subject, relation: Relation, columns: list[str]) -> None:
    drop_unfinished(script, subject.connection, relation.schema, index_name(relation, columns))
    if subject.own.kind == "p":
        script.say(
            "On a large table in use: CREATE INDEX … ON ONLY it, CREATE INDEX CONCURRENTLY on each partition, then "
            "ALTER INDEX … ATTACH PARTITION for each of them."
        )
    else:
        script.say("On a large table in use, run this first, on its own and outside a transaction:")
        script.suggest(index_statement(relation, columns, "CREATE INDEX CONCURRENTLY"))
    script.run(index_statement(relation, columns, "CREATE INDEX"))
