"""The checks of `sql/checks`: SELECTs that return offenders, about the login and the core's objects."""

from collections.abc import Iterator
from importlib.resources.abc import Traversable
from itertools import takewhile
from typing import Any, LiteralString, cast

import psycopg

from server.doctor.asking import made
from server.doctor.offender import Offender
from server.doctor.report import Check
from sql import checks_prelude, sql_files


def sql_checks(connection: psycopg.Connection[Any], login: str) -> Iterator[Check]:
    """Run each file for `login` inside the open transaction, and yield its check."""
    prelude = checks_prelude()
    for file in sql_files("checks"):
        yield _run(connection, file, prelude, login)


def _run(connection: psycopg.Connection[Any], file: Traversable, prelude: str, login: str) -> Check:
    """Run one SELECT that returns offenders as (object, problem, remedy); its first comment says what must hold."""
    text = file.read_text(encoding="utf-8")
    comment = takewhile(lambda line: line.startswith("-- "), text.splitlines())
    purpose = " ".join(line.removeprefix("-- ") for line in comment)

    def find() -> Iterator[Offender]:
        # The text is a file of this package, never input; the login is the only parameter.
        for row in connection.execute(cast("LiteralString", prelude + text), (login,)).fetchall():
            yield Offender(*map(str, row))

    return made(file.name.removesuffix(".sql"), purpose, connection, find)
