"""Plan each declared SELECT as the login: EXPLAIN checks all privileges, unlike describing a statement."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import psycopg

from server.catalog.declarations import SqlTool
from server.catalog.sql_tool import compiled
from server.database.connecting import first_line
from server.doctor.declared import Declared
from server.doctor.offender import Offender

_DENIED: Final = re.compile(r"permission denied for (?:table|view|relation|foreign table|materialized view) (.+)")


def sql_tool_offenders(
    connection: psycopg.Connection[Any], declared: Declared, tools: Sequence[SqlTool]
) -> Iterator[Offender]:
    """Yield each tool whose statement the database refuses; no row is read."""
    for tool in tools:
        statement = compiled(tool)
        nothing: list[None] = [None] * (len(tool.parameters) + 1)
        try:
            with connection.transaction():
                connection.execute(b"EXPLAIN " + statement.sent, nothing)
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            yield Offender(
                f"tool {tool.name}", f"its statement fails: {first_line(error)}", _remedy(declared, tool, error)
            )


def _remedy(declared: Declared, tool: SqlTool, error: psycopg.Error) -> str:
    denied = _DENIED.fullmatch(error.diag.message_primary or "")
    if not isinstance(error, psycopg.errors.InsufficientPrivilege) or denied is None:
        return f"correct the sql or the columns of the tool {tool.name}"
    named = [name for name, facts in declared.facts.items() if facts.name == denied[1]]
    if not named:
        return f"declare the table {denied[1]}, or remove it from the sql of the tool {tool.name}"
    hidden = [f"{name}.{column}" for name in named for column in _hidden(declared, name, tool)]
    if not hidden:
        return f"name columns of {named[0]} that are declared, and no whole row such as {denied[1]}.*"
    return f"declare {', '.join(hidden)}, or remove it from the sql of the tool {tool.name}"


def _hidden(declared: Declared, name: str, tool: SqlTool) -> Iterator[str]:
    """Yield the columns of a relation that the statement names but the login may not read."""
    from sqlglot.dialects.postgres import Postgres
    from sqlglot.errors import TokenError

    try:
        words = {token.text for token in Postgres().tokenize(tool.sql)}
    except TokenError:
        words = set[str]()
    words |= {word.lower() for word in words}
    held = {grant.column for grant in declared.reach.get(name, ())}
    for column in declared.facts[name].columns:
        if column in words and not {column, None} & held:
            yield column
