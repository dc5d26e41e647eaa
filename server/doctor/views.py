"""Declared views read their tables as the caller, or as an owner whom the policies of those tables bind."""

from collections.abc import Iterator
from typing import Any, Final

import psycopg
from psycopg import sql

from server.doctor.declared import Declared
from server.doctor.offender import Offender

# The first version whose views know security_invoker.
_INVOKER_VERSION: Final = 150_000


def view_offenders(connection: psycopg.Connection[Any], declared: Declared) -> Iterator[Offender]:
    """Yield each declared view that reads its tables as somebody whom no policy binds.

    That each relation which a view reads is declared, and so protected itself, is a check of the relations.
    """
    for table in declared.present:
        facts = declared.facts[table.name]
        if facts.kind == "v" and not (facts.invoker or facts.bound_owner):
            invoker = sql.SQL("ALTER VIEW {} SET (security_invoker = true);").format(declared.relation(table.name))
            ways = f"`tenantgate tools sql {table.name}`"
            yield Offender(
                table.name,
                f"it reads its tables as its owner {facts.owner}, whom no policy binds: the rows of all tenants",
                f"{invoker.as_string()} -- or another owner: {ways} prints both ways"
                if connection.info.server_version >= _INVOKER_VERSION
                else f"give it an owner that the policies name: {ways} prints how",
            )
