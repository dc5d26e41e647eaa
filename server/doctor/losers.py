"""Roles of other applications that see no row of a declared table, because no policy names them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import psycopg
from psycopg import RawCursor

from server.administration.administrator import administrator
from server.catalog.declarations import Table
from server.catalog.facts import read_facts
from server.catalog.loading import load_catalog
from server.catalog.protection import losers
from server.catalog.readable import owner_columns
from server.catalog.tenant_columns import Facts
from server.doctor.asking import settled
from server.errors import CatalogError
from server.settings import Settings

_TIMEOUT_MS: Final = 60_000


def roles_that_lose_rows(settings: Settings) -> list[str]:
    """Return a sentence for each role that sees no row of a declared table; asks as the administrator."""
    try:
        tables = load_catalog(settings.catalog).tables
    except CatalogError:
        return ["the catalog is not valid, so no role that loses rows can be named; see `tenantgate tools check`"]
    if not tables:
        return []
    database = settings.database
    with administrator(database.admin_url.get_secret_value(), database.unverified_tls) as connection:
        connection.cursor_factory = RawCursor
        with settled(connection, _TIMEOUT_MS):
            return list(loser_notices(connection, tables, settings.database.login))


def loser_notices(
    connection: psycopg.Connection[Any], tables: Mapping[str, Table], login: str, facts: Facts | None = None
) -> Iterator[str]:
    """Yield a sentence for each role that can SELECT from a declared table but sees no row of it.

    This includes the effect that row level security would have. `connection` is the administrator's, with RawCursor.
    """
    known = read_facts(connection, tables) if facts is None else facts
    for name, table in tables.items():
        if name not in known or known[name].kind not in {"r", "p"}:
            continue
        bound: Iterable[str] = owner_columns(table, known, tables)
        for role, loss in losers(connection, name, login):
            if role not in bound:
                yield (
                    f"{role} {loss}: no policy of the table is for it; if it should see rows, name it in one "
                    f"(`tenantgate tools sql {name}` shows how)"
                )
