"""A database of orders, their items and the items' events, protected by the SQL that `tenantgate tools sql` prints.

`own_items` and `own_events` hold the same rows, and were given a tenant column by the steps that `--own-column` prints.
"""

import hashlib
from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg
from dataset import PASSWORD, make_database
from psycopg import sql

from server.administration.key_table import put_key
from server.administration.migrations import migrate
from server.catalog.declarations import Table
from server.catalog.protection import own_column_steps, protection_sql
from server.database.context_keys import ContextKey
from server.dev.postgres.launcher import EmbeddedPostgres
from server.errors import StartupError

DATABASE: Final = "children"
# Tenants by their number of orders; the others have a thousand each.
PARENTS: Final = {"tenant-20": 20, "tenant-10k": 10_000, "tenant-100k": 100_000}
ORDERS: Final = 300_000
ITEMS: Final = 3 * ORDERS
_LOGIN: Final = "app_user"
# The rows of all tenants are mixed, as they would have come in: 7919 has no divisor in common with the numbers of rows.
_ROWS: Final[tuple[LiteralString, ...]] = (
    "CREATE SCHEMA shop",
    """
    CREATE TABLE shop.orders (
      id bigint PRIMARY KEY, account_id text NOT NULL,
      number text NOT NULL, placed_at timestamptz NOT NULL, amount numeric(12, 2) NOT NULL)
    """,
    """
    INSERT INTO shop.orders
    SELECT n, CASE WHEN place < 20 THEN 'tenant-20' WHEN place < 10020 THEN 'tenant-10k'
                   WHEN place < 110020 THEN 'tenant-100k' ELSE 'tenant-' || place / 1000 END,
           'O-' || n, timestamptz '2026-01-01' - n * 7817::bigint % 63072000 * interval '1 second', n % 90000 / 100.0
    FROM generate_series(1, 300000) AS n, LATERAL (SELECT n * 7919::bigint % 300000 AS place) AS p
    """,
    """
    CREATE TABLE shop.items (
      id bigint PRIMARY KEY, order_id bigint NOT NULL REFERENCES shop.orders,
      number text NOT NULL, placed_at timestamptz NOT NULL, amount numeric(12, 2) NOT NULL)
    """,
    """
    INSERT INTO shop.items
    SELECT n, 1 + n % 300000, 'I-' || n, timestamptz '2026-01-01' - n * 7817::bigint % 63072000 * interval '1 second',
           n % 90000 / 100.0
    FROM generate_series(1, 900000) AS n
    """,
    """
    CREATE TABLE shop.events (
      id bigint PRIMARY KEY, item_id bigint NOT NULL REFERENCES shop.items,
      number text NOT NULL, placed_at timestamptz NOT NULL, amount numeric(12, 2) NOT NULL)
    """,
    """
    INSERT INTO shop.events
    SELECT n, 1 + n * 7919::bigint % 900000, 'E-' || n,
           timestamptz '2026-01-01' - n * 7817::bigint % 63072000 * interval '1 second', n % 90000 / 100.0
    FROM generate_series(1, 900000) AS n
    """,
    "CREATE TABLE shop.own_items (LIKE shop.items INCLUDING ALL, FOREIGN KEY (order_id) REFERENCES shop.orders)",
    "INSERT INTO shop.own_items TABLE shop.items",
    "CREATE TABLE shop.own_events (LIKE shop.events INCLUDING ALL, FOREIGN KEY (item_id) REFERENCES shop.own_items)",
    "INSERT INTO shop.own_events TABLE shop.events",
    "VACUUM ANALYZE",
)


def declared(name: str, tenant: str | dict[str, str]) -> Table:
    """Return the declaration of one table; all have the same columns, so that a page of each is as large."""
    return Table.model_validate(
        {
            "name": f"shop.{name}",
            "tenant": tenant,
            "scope": "orders:read",
            "list": {"tool": f"query_{name}", "sort": "-placed_at"},
            "columns": {
                "number": {"type": "text"},
                "placed_at": {"type": "timestamp", "sort": True},
                "amount": {"type": "decimal"},
            },
        }
    )


_CHILDREN: Final = {
    "shop.orders": declared("orders", "account_id"),
    "shop.items": declared("items", {"through": "order_id", "parent": "shop.orders"}),
    "shop.events": declared("events", {"through": "item_id", "parent": "shop.items"}),
}
TABLES: Final = {
    **_CHILDREN,
    "shop.own_items": declared("own_items", "account_id"),
    "shop.own_events": declared("own_events", "account_id"),
}
# As they are declared before they have the column.
_BEFORE: Final = {
    **_CHILDREN,
    "shop.own_items": declared("own_items", {"through": "order_id", "parent": "shop.orders"}),
    "shop.own_events": declared("own_events", {"through": "item_id", "parent": "shop.own_items"}),
}


def prepare_shop(postgres: EmbeddedPostgres, key: ContextKey, say: Any) -> str:
    """Fill the database if it is not there, protect its tables, and return the login's URL."""
    admin_url = postgres.admin_url.removesuffix("/postgres") + f"/{DATABASE}"
    version = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    if not _is_filled(postgres.admin_url, admin_url, version):
        say("filling 3,900,000 rows (the first time takes two minutes)")
        make_database(postgres.admin_url, DATABASE)
        migrate(admin_url, lambda _step: None)
        _fill(admin_url, version)
    with psycopg.connect(admin_url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
        for table in TABLES.values():
            connection.execute(protection_sql(connection, table, TABLES, _LOGIN).encode())
    with psycopg.connect(admin_url, autocommit=True) as connection:
        put_key(connection, key)
        statement = sql.SQL("ALTER ROLE {} PASSWORD {}")
        connection.execute(statement.format(sql.Identifier(_LOGIN), sql.Literal(PASSWORD)))
    return postgres.url(_LOGIN, PASSWORD, DATABASE)


def _is_filled(server_url: str, admin_url: str, version: str) -> bool:
    """Whether the database was filled to its end, by this very file, and can be brought to the core's schema."""
    with psycopg.connect(server_url) as connection:
        text = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
        if connection.execute(text, (DATABASE,)).fetchone() != (version,):
            return False
    try:
        migrate(admin_url, lambda _step: None)
    except StartupError:  # an earlier version made it
        return False
    return True


def _fill(admin_url: str, version: str) -> None:
    with psycopg.connect(admin_url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
        for statement in _ROWS:
            connection.execute(statement)
        # Each child after its parent: the steps want a parent that has the column.
        for name in ("shop.own_items", "shop.own_events"):
            tables = {**_BEFORE, **({"shop.own_items": TABLES["shop.own_items"]} if name == "shop.own_events" else {})}
            _protect(connection, tables)
            for step in own_column_steps(connection, tables[name], tables, _LOGIN):
                connection.execute(step.encode())
        connection.execute("VACUUM ANALYZE")
        comment = sql.SQL("COMMENT ON DATABASE {} IS {}")
        connection.execute(comment.format(sql.Identifier(DATABASE), sql.Literal(version)))


def _protect(connection: psycopg.Connection[Any], tables: dict[str, Table]) -> None:
    for table in tables.values():
        connection.execute(protection_sql(connection, table, tables, _LOGIN).encode())
