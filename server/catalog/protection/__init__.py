"""The SQL that protects a declared table or view, as `tenantgate tools sql` prints it."""

from typing import Any

import psycopg

from server.catalog.declarations import Table
from server.catalog.protection.exposure import losers as losers
from server.catalog.protection.own_column import own_column_steps as own_column_steps
from server.catalog.protection.rollup import protect_rollup
from server.catalog.protection.subject import subject_of
from server.catalog.protection.table import protect_table
from server.catalog.protection.view import protect_view
from server.catalog.rollups import rollups_in
from server.catalog.tenant_columns import Family, Tables


def protection_sql(
    connection: psycopg.Connection[Any], table: Table, tables: Tables, login: str, id_type: Family | None = None
) -> str:
    """Return the SQL that protects `table` for `login`, with comments; running it again restores the protection.

    `tables` are all declared tables, by schema.table. `connection` has psycopg's RawCursor; nothing is changed. Raises
    StartupError when no policy can isolate the table; it names each reason and remedy.
    """
    if (rollup := rollups_in(tables).get(table.name)) is not None:
        return protect_rollup(subject_of(connection, rollup.source, tables, login, id_type), rollup).text()
    subject = subject_of(connection, table, tables, login, id_type)
    return (protect_view if subject.own.kind == "v" else protect_table)(subject).text()
