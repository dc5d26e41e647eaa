"""The checks of the declared relations, and of everything else that the login can read, against pg_catalog."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Any

import psycopg

from server.catalog.declarations import SqlTool
from server.doctor.asking import made
from server.doctor.declared import Declared
from server.doctor.grants import grant_offenders
from server.doctor.offender import Offender
from server.doctor.policies import policy_offenders
from server.doctor.relations import relation_offenders
from server.doctor.report import Check
from server.doctor.rollups import rollup_offenders
from server.doctor.sql_tools import sql_tool_offenders
from server.doctor.undeclared import undeclared
from server.doctor.views import view_offenders


def declared_checks(
    connection: psycopg.Connection[Any], declared: Declared, tools: Sequence[SqlTool], accepted: Collection[str]
) -> Iterator[Check]:
    """Run and yield each check, inside the open transaction."""
    checks: tuple[tuple[str, str, Callable[[], Iterable[Offender]]], ...] = (
        (
            "undeclared_relations",
            "Whatever the login may read, in any schema, is declared.",
            lambda: undeclared(declared.reach, declared.tables, declared.parts, accepted, declared.login),
        ),
        (
            "declared_relations",
            "Every declared relation exists as it is declared, and its rows can be isolated.",
            lambda: relation_offenders(declared),
        ),
        (
            "policies",
            "Every declared table has row level security, the canonical policies, and no other for the login.",
            lambda: policy_offenders(connection, declared),
        ),
        (
            "grants",
            "The login may read the declared columns and the keys, and no other.",
            lambda: grant_offenders(connection, declared),
        ),
        (
            "views",
            "Declared views read their tables as somebody whom the policies bind.",
            lambda: view_offenders(connection, declared),
        ),
        (
            "rollups",
            "Every declared roll-up is kept by the triggers of its table.",
            lambda: rollup_offenders(connection, declared),
        ),
        (
            "sql_tools",
            "Every declared statement can be run by the login.",
            lambda: sql_tool_offenders(connection, declared, tools),
        ),
    )
    for name, purpose, find in checks:
        yield made(name, purpose, connection, find)
