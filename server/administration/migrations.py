"""Bring a database to the schema of this version: `sql/migrations`, in order, each in its own transaction."""

import hashlib
from collections.abc import Callable
from typing import Any, Final, LiteralString, cast

import psycopg

from server.administration.administrator import administrator, first_line
from server.errors import StartupError
from sql import sql_files

_HISTORY: Final[LiteralString] = """
CREATE SCHEMA IF NOT EXISTS tenantgate;
CREATE TABLE IF NOT EXISTS tenantgate.migrations (
  name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
);
"""
# Any fixed number: it keeps two migrations of one database from running at once.
_LOCK: Final = 7_236_401_114


def migrate(admin_url: str, report: Callable[[str], None]) -> None:
    """Apply what is missing, telling `report` each step; a second run changes nothing.

    Raises StartupError when the database is out of reach, is newer than this version, or a step fails.
    """
    with administrator(admin_url) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        connection.execute(_HISTORY)
        _apply_missing(connection, report)


def _apply_missing(connection: psycopg.Connection[Any], report: Callable[[str], None]) -> None:
    applied = dict(connection.execute("SELECT name, sha256 FROM tenantgate.migrations ORDER BY name").fetchall())
    files = {file.name: file.read_text(encoding="utf-8") for file in sql_files("migrations")}
    if newer := sorted(applied.keys() - files.keys()):
        raise StartupError(
            f"the database has the migration {newer[-1]}, which this version does not know; "
            "install the version that made it, or a newer one"
        )
    for name, text in files.items():
        digest = hashlib.sha256(text.encode()).hexdigest()
        if name not in applied:
            _apply(connection, name, text, digest)
            report(f"applied {name}")
        elif applied[name] != digest:
            raise StartupError(f"the migration {name} was changed after it had been applied; restore it, add a new one")
        else:
            report(f"already there: {name}")


def _apply(connection: psycopg.Connection[Any], name: str, text: str, digest: str) -> None:
    try:
        with connection.transaction():
            # The text is a file of this package, never input.
            connection.execute(cast("LiteralString", text))
            connection.execute("INSERT INTO tenantgate.migrations (name, sha256) VALUES (%s, %s)", (name, digest))
    except psycopg.Error as error:
        raise StartupError(f"the migration {name} failed and was rolled back: {first_line(error)}") from error
