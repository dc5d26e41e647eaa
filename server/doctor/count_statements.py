"""The administrator's queries that count rows per tenant, with joins to the tenant column."""

from typing import Final, LiteralString

from psycopg import sql

from server.catalog.declarations import Table, Through
from server.catalog.tenant_columns import Family, parent_key
from server.doctor.declared import Declared

_ARRAYS: Final[dict[Family, LiteralString]] = {"text": "text[]", "uuid": "uuid[]", "integer": "bigint[]"}


def count_all(declared: Declared, table: Table) -> sql.Composed:
    """Return the query that counts every row."""
    return sql.SQL("SELECT count(*) FROM {}").format(declared.relation(table.name))


def count_by_tenant(declared: Declared, table: Table, kind: Family) -> sql.Composed:
    """Return the query for (tenant, rows) of each tenant in its parameter, an array of texts."""
    return sql.SQL("SELECT o.tenant, count(*) FROM ({}) AS o GROUP BY o.tenant").format(
        _owned(declared, table, kind, None)
    )


def first_tenants(declared: Declared, table: Table, count: int) -> sql.Composed:
    """Return the query for the first tenants that have rows; it reads the index once per tenant."""
    return sql.SQL(
        "WITH RECURSIVE found (tenant, place) AS ("
        "(SELECT {column}, 1 FROM {relation} AS r WHERE {column} IS NOT NULL ORDER BY {column} LIMIT 1) UNION ALL "
        "SELECT (SELECT {column} FROM {relation} AS r WHERE {column} > f.tenant ORDER BY {column} LIMIT 1), "
        "f.place + 1 FROM found AS f WHERE f.tenant IS NOT NULL AND f.place < {count}) "
        "SELECT tenant::text FROM found WHERE tenant IS NOT NULL"
    ).format(
        column=sql.Identifier("r", table.tenant_column or ""),
        relation=declared.relation(table.name),
        count=sql.Literal(count),
    )


def _owned(declared: Declared, table: Table, kind: Family, key: str | None) -> sql.Composed:
    """Return the query for the tenants' rows as (tenant), or as (tenant, key) for child tables that refer to `key`."""
    relation = declared.relation(table.name)
    keyed = sql.SQL(", {} AS key").format(sql.Identifier("r", key)) if key else sql.SQL("")
    if isinstance(table.tenant, Through):
        parents = _owned(declared, declared.tables[table.tenant.parent], kind, parent_key(table, declared.facts))
        return sql.SQL("SELECT p.tenant{} FROM {} AS r JOIN ({}) AS p ON p.key = {}").format(
            keyed, relation, parents, sql.Identifier("r", table.tenant.through)
        )
    column = sql.Identifier("r", table.tenant_column or "")
    return sql.SQL("SELECT {}::text AS tenant{} FROM {} AS r WHERE {} = ANY ($1::text[]::{})").format(
        column, keyed, relation, column, sql.SQL(_ARRAYS[kind])
    )
