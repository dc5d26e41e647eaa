"""Whether declared views read their tables as the caller, or as an owner to whom these tables' policies apply."""

from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg import sql

from server.doctor.declared import Declared
from server.doctor.offender import Offender

# The first PostgreSQL version with security_invoker for views.
_INVOKER_VERSION: Final = 150_000


def view_offenders(connection: psycopg.Connection[Any], declared: Declared) -> Iterator[Offender]:
    """Yield each declared view that reads its tables as an owner to whom no policy applies.

    Another check requires that each relation which a view reads is declared, and so protected.
    """
    for table in declared.present:
        facts = declared.facts[table.name]
        if facts.kind == "v" and not (facts.invoker or facts.bound_owner):
            invoker = sql.SQL("ALTER VIEW {} SET (security_invoker = true);").format(declared.relation(table.name))
            ways = f"`tenantgate tools sql {table.name}`"
            yield Offender(
                table.name,
                f"it reads its tables as its owner {facts.owner}, whom no policy limits, so it shows the rows of all "
                "tenants",
                f"{invoker.as_string()} -- or another owner: {ways} prints both ways"
                if connection.info.server_version >= _INVOKER_VERSION
                else f"give it an owner that the policies name: {ways} prints how",
            )
