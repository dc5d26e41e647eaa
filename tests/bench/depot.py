"""A database of 200 generated tables with their declarations: most with a tenant column of their own, some children."""

import json
import shutil
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg
from dataset import PASSWORD, make_database
from psycopg import sql

from server.administration.key_table import put_key
from server.administration.migrations import migrate
from server.catalog.loading import Catalog, load_catalog
from server.catalog.protection import protection_sql
from server.database.context_keys import ContextKey
from server.dev.postgres.launcher import EmbeddedPostgres

DATABASE: Final = "startup"
TABLES: Final = 200
_PER_FILE: Final = 20
_LOGIN: Final = "app_user"
_COLUMNS: Final[LiteralString] = """
  number text NOT NULL, customer text NOT NULL, status text NOT NULL, placed_at timestamptz NOT NULL, due_on date,
  amount numeric(12, 2) NOT NULL, quantity integer, active boolean NOT NULL
"""
# The proof of isolation looks at rows as two of these tenants.
_TENANTS: Final[LiteralString] = """
INSERT INTO tenancy.tenants (tenant_id, name)
SELECT '00000000-0000-4000-8000-00000000000' || n, 'Tenant ' || n FROM generate_series(0, 9) AS n
"""
_VALUES: Final[LiteralString] = """
  'N-' || n, 'Customer ' || n, 'open', timestamptz '2026-01-01' - n * interval '1 hour', NULL, n, n, true
"""
# One child after four tables with a tenant column, which is a UUID in every other one.
_CHILD_AFTER: Final = 5


def prepare_depot(postgres: EmbeddedPostgres, key: ContextKey, folder: Path) -> tuple[str, Path]:
    """Make database and declarations anew; return the login's URL and the catalog's folder."""
    catalog = _write_catalog(folder)
    make_database(postgres.admin_url, DATABASE)
    admin_url = postgres.admin_url.removesuffix("/postgres") + f"/{DATABASE}"
    migrate(admin_url, lambda _step: None)
    with psycopg.connect(admin_url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
        connection.execute("CREATE SCHEMA depot")
        for number in range(TABLES):
            connection.execute(_create(number))
        _protect(connection, load_catalog([str(catalog)]))
        connection.execute(_TENANTS)
        for number in range(TABLES):
            connection.execute(_rows(number))
        connection.execute("ANALYZE")
    with psycopg.connect(admin_url, autocommit=True) as connection:
        put_key(connection, key)
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
        connection.execute(statement.format(sql.Identifier(_LOGIN), sql.Literal(PASSWORD)))
    return postgres.url(_LOGIN, PASSWORD, DATABASE), catalog


def _protect(connection: psycopg.Connection[Any], catalog: Catalog) -> None:
    # In the order of the files, in which a parent comes before its children.
    for table in catalog.tables.values():
        connection.execute(protection_sql(connection, table, catalog.tables, _LOGIN, "uuid").encode())


def _is_child(number: int) -> bool:
    return number % _CHILD_AFTER == _CHILD_AFTER - 1


def _create(number: int) -> sql.Composed:
    own: LiteralString = (
        "parent_id bigint NOT NULL REFERENCES {parent}" if _is_child(number) else "account {kind} NOT NULL"
    )
    text: LiteralString = "CREATE TABLE {table} (id bigint PRIMARY KEY, " + own + ", " + _COLUMNS + ")"
    return sql.SQL(text).format(
        table=sql.Identifier("depot", _name(number)),
        parent=sql.Identifier("depot", _name(number - 1)),
        kind=_kind(number),
    )


def _rows(number: int) -> sql.Composed:
    """Return the statement that inserts 100 rows, ten for each tenant."""
    owner: LiteralString = "('00000000-0000-4000-8000-00000000000' || n % 10)::{kind}"
    if _is_child(number):
        owner = "n"
    text: LiteralString = (
        "INSERT INTO {table} SELECT n, " + owner + ", " + _VALUES + " FROM generate_series(1, 100) AS n"
    )
    return sql.SQL(text).format(table=sql.Identifier("depot", _name(number)), kind=_kind(number))


def _kind(number: int) -> sql.SQL:
    return sql.SQL("uuid") if number % 2 else sql.SQL("text")


def _name(number: int) -> str:
    return f"stock_{number:03d}"


def _write_catalog(folder: Path) -> Path:
    """Write the declarations into files of twenty tables."""
    catalog = folder / "startup-catalog"
    shutil.rmtree(catalog, ignore_errors=True)
    catalog.mkdir(parents=True)
    for first in range(0, TABLES, _PER_FILE):
        text = "\n".join(_declaration(number) for number in range(first, first + _PER_FILE))
        (catalog / f"{_name(first)}.toml").write_text(text, encoding="utf-8")
    return catalog


def _declaration(number: int) -> str:
    name = _name(number)
    through = f'{{ through = "parent_id", parent = "depot.{_name(number - 1)}" }}'
    tenant = through if _is_child(number) else '"account"'
    about = json.dumps(f"Stock of the caller's account, list {number}: number, customer, status, dates and amount.")
    return f"""
[[table]]
name = "depot.{name}"
tenant = {tenant}
scope = "claims:read"
description = {about}
list = {{ tool = "query_{name}", title = "Find {name}", sort = "-placed_at" }}
summary = {{ tool = "summarize_{name}", title = "Count {name}" }}

[table.columns]
number = {{ type = "text", filter = true, description = "Its number.", max_length = 100 }}
customer = {{ type = "text", filter = "contains", sort = true }}
status = {{ type = "text", values = ["open", "paid", "refunded"], filter = true, group = true }}
placed_at = {{ type = "timestamp", filter = "range", period = true, sort = true, group = ["week", "month"] }}
due_on = {{ type = "date", filter = "range" }}
amount = {{ type = "decimal", filter = "range", sort = true, measures = ["total", "average", "largest"] }}
quantity = {{ type = "integer", filter = "range" }}
active = {{ type = "boolean", filter = true, group = true }}
"""
