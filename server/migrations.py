"""Bring a database to the schema of this version: `sql/migrations`, in order, each in its own transaction."""

import hashlib
from collections.abc import Callable
from typing import Any, Final, LiteralString, cast

import psycopg

from server.errors import StartupError
from sql import sql_files

_HISTORY: Final[LiteralString] = """
CREATE SCHEMA IF NOT EXISTS migrations;
CREATE TABLE IF NOT EXISTS migrations.applied (
  name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
);
"""
# Any fixed number: it keeps two migrations of one database from running at once.
_LOCK: Final = 7_236_401_114


def migrate(admin_url: str, report: Callable[[str], None]) -> None:
    """Apply what is missing, telling `report` each step; a second run changes nothing.

    Raises StartupError when the database is out of reach, is newer than this version, or a step fails.
    """
    try:
        with psycopg.connect(admin_url, autocommit=True, connect_timeout=5) as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            connection.execute(_HISTORY)
            _apply_missing(connection, report)
    except psycopg.OperationalError as error:
        raise StartupError(f"the database cannot be reached ({first_line(error)}); check database.admin_url") from error


def first_line(error: BaseException) -> str:
    """Return the first line of a driver's message, which names the cause."""
    return str(error).strip().split("\n", 1)[0]


def _apply_missing(connection: psycopg.Connection[Any], report: Callable[[str], None]) -> None:
    applied = dict(connection.execute("SELECT name, sha256 FROM migrations.applied ORDER BY name").fetchall())
    files = {file.name: file.read_text(encoding="utf-8") for file in sql_files("migrations")}
    if newer := sorted(applied.keys() - files.keys()):
        raise StartupError(f"the database has the migration {newer[-1]}, which this version does not know; upgrade it")
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
            connection.execute("INSERT INTO migrations.applied (name, sha256) VALUES (%s, %s)", (name, digest))
    except psycopg.Error as error:
        raise StartupError(f"the migration {name} failed and was rolled back: {first_line(error)}") from error
