"""Two databases of one cluster: 1,000,000 claims of 1,000 tenants, and 10,000 of 10, a thousand a tenant in both."""

from pathlib import Path
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from server.administration.key_table import put_key
from server.administration.migrations import migrate
from server.database.context_keys import ContextKey
from server.dev.postgres.launcher import EmbeddedPostgres
from server.errors import StartupError

PASSWORD: Final = "benchmark"  # a database on loopback that holds generated rows
CLAIMS_A_TENANT: Final = 1_000
SIZES: Final = {"claims_10k": 10, "claims_1m": 1_000}

_TENANTS: Final[LiteralString] = """
INSERT INTO tenancy.tenants (tenant_id, name) SELECT 'tenant-' || t, 'Tenant ' || t FROM generate_series(1, %s) AS t
"""
# Rows of all tenants are written in turn, as they would have come in.
CLAIMS: Final[LiteralString] = """
INSERT INTO app.claims
  (tenant_id, claim_number, customer_name, claim_amount, status, line_of_business, filed_at, description)
SELECT 'tenant-' || t, 'CLM-' || n, 'Customer ' || (n * 7919 + t) %% 500, ((n * 7907 + t * 13) %% 9000000) / 100.0,
       (ARRAY['open', 'pending', 'approved', 'denied', 'closed'])[1 + (n + t) %% 5],
       (ARRAY['auto', 'home', 'life', 'health', 'commercial'])[1 + (n * 3 + t) %% 5],
       now() - (n * 7817 + t * 31) %% 63072000 * interval '1 second',
       'Rear-end collision at low speed; bumper and light.'
FROM generate_series(1, %s) AS n CROSS JOIN generate_series(1, %s) AS t
"""


def prepare(postgres: EmbeddedPostgres, key: ContextKey) -> dict[str, str]:
    """Fill what is missing and return the login's URL of each database."""
    for name, tenants in SIZES.items():
        admin_url = postgres.admin_url.removesuffix("/postgres") + f"/{name}"
        try:
            migrate(admin_url, lambda _step: None, folders=["sample"])
        except StartupError:  # there is none yet, or one that an earlier version made
            make_database(postgres.admin_url, name)
            migrate(admin_url, lambda _step: None, folders=["sample"])
        with psycopg.connect(admin_url, autocommit=True) as connection:
            put_key(connection, key)
            _fill(connection, tenants)
            connection.execute(sql.SQL("ALTER ROLE app_user PASSWORD {}").format(sql.Literal(PASSWORD)))
    return {name: postgres.url("app_user", PASSWORD, name) for name in SIZES}


def make_database(admin_url: str, name: str) -> None:
    """Make an empty database, in place of the one that may be there."""
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))


def _fill(connection: psycopg.Connection[Any], tenants: int) -> None:
    found = connection.execute("SELECT count(*) FROM app.claims").fetchone()
    if found == (tenants * CLAIMS_A_TENANT,):
        return
    with connection.transaction():
        connection.execute("TRUNCATE app.claims, tenancy.user_tenants, tenancy.tenants")
        connection.execute(_TENANTS, (tenants,))
        connection.execute(CLAIMS, (CLAIMS_A_TENANT, tenants))
    connection.execute("VACUUM ANALYZE app.claims")


def folder(root: Path) -> Path:
    """Return where the cluster is kept between runs."""
    return root / ".tenantgate" / "bench"
