"""Statements that count the rows of a relation that a tenant sees, and how many of them belong to others."""

from typing import Final

from psycopg import sql

from server.catalog.declarations import Table, Through
from server.catalog.tenant_columns import parent_key
from server.database.statement import Statement
from server.doctor.declared import Declared

# How many rows are checked when all of them would take too long.
SAMPLE_ROWS: Final = 1_000
# The counts `seen` and `others`.
Counts = dict[str, int]


def any_row(relation: sql.Identifier) -> sql.Composed:
    """Return a query that says whether a relation shows any row."""
    return sql.SQL("SELECT EXISTS (SELECT FROM {})").format(relation)


def counting(declared: Declared, table: Table, *, sample: bool) -> Statement[Counts]:
    """Return the statement that counts all rows or a sample of them; its parameter is the tenant.

    The tenant column of a row, or of its parent in a child table, says whose row it is. Shared rows never count as
    rows of others.
    """
    columns = [sql.Identifier("r", column) for column in _named(table)]
    source = sql.SQL("SELECT {} FROM {} AS r").format(sql.SQL(", ").join(columns), declared.relation(table.name))
    if sample:
        source = sql.SQL("{} LIMIT {}").format(source, sql.Literal(SAMPLE_ROWS))
    if isinstance(table.tenant, Through):
        text = sql.SQL(
            "SELECT count(*) AS seen, count(*) FILTER (WHERE p.key IS NULL) AS others "
            "FROM ({}) AS r LEFT JOIN ({}) AS p ON p.key = r.{}"
        ).format(source, _keys_of_tenant(declared, table), sql.Identifier(table.tenant.through))
    elif table.tenant is None:
        text = sql.SQL("SELECT count(*) AS seen, 0 AS others FROM ({}) AS r WHERE $1::text IS NOT NULL").format(source)
    else:
        text = sql.SQL("SELECT count(*) AS seen, count(*) FILTER (WHERE NOT {}) AS others FROM ({}) AS r").format(
            is_tenant(sql.Identifier("r", table.tenant)), source
        )
    return Statement(f"rows {table.name}", text, Counts, parameters=1)


def is_tenant(column: sql.Composable) -> sql.Composed:
    """Return the condition that a tenant column equals the parameter byte by byte; its result is never NULL."""
    return sql.SQL('({}::text COLLATE "C" IS NOT DISTINCT FROM $1::text)').format(column)


def _named(table: Table) -> list[str]:
    if isinstance(table.tenant, Through):
        return [table.tenant.through]
    return [table.tenant] if table.tenant else []


def _keys_of_tenant(declared: Declared, child: Table) -> sql.Composed:
    """Return the query for the keys of the tenant's parent rows; the parent may be a child table itself."""
    way = child.tenant
    if not isinstance(way, Through):
        raise TypeError(child.name)
    parent = declared.tables[way.parent]
    key = sql.Identifier("o", parent_key(child, declared.facts) or "")
    relation = declared.relation(parent.name)
    if isinstance(parent.tenant, Through):
        return sql.SQL("SELECT {} AS key FROM {} AS o JOIN ({}) AS p ON p.key = {}").format(
            key, relation, _keys_of_tenant(declared, parent), sql.Identifier("o", parent.tenant.through)
        )
    condition = is_tenant(sql.Identifier("o", parent.tenant or ""))
    return sql.SQL("SELECT {} AS key FROM {} AS o WHERE {}").format(key, relation, condition)
