"""Ignore letter case in a database with any locale, by a collation that knows all letters."""

from typing import Any, Final

import psycopg
from psycopg import sql

# Collations of pg_catalog, the best first. pg_c_utf8 exists since PostgreSQL 17, the next ones where the machine has
# the locale, and und-x-icu where PostgreSQL was built with ICU. The first ones convert each letter separately, so a
# part of a text is found at any position; ICU's lower case of the Greek sigma depends on its position.
_CANDIDATES: Final = ("pg_c_utf8", "C.utf8", "C.UTF-8", "en_US.utf8", "und-x-icu", "default")
# A letter outside ASCII, small and capital.
_SMALL, _CAPITAL = "ü", "Ü"

# No such collation is known: only the case of a to z is ignored.
ASCII: Final = ""


def read_letter_case(connection: psycopg.Connection[Any]) -> str:
    """Return the first collation that converts letter case in this database; `ASCII` when it has none.

    `connection` has psycopg's RawCursor as its cursor.
    """
    for candidate in _CANDIDATES:
        question = sql.SQL("SELECT {} = {}").format(
            folded(sql.SQL("$1::text"), candidate), folded(sql.SQL("$2::text"), candidate)
        )
        try:
            with connection.transaction(force_rollback=True):
                answer = connection.execute(question, (_SMALL, _CAPITAL)).fetchall()
        except psycopg.OperationalError:
            raise
        except psycopg.Error:
            continue
        if answer[0][0]:
            return candidate
    return ASCII


def folded(text: sql.Composable, collation: str) -> sql.Composed:
    """Return the SQL expression of a text in small letters."""
    if not collation:
        return sql.SQL("lower({})").format(text)
    return sql.SQL("lower({} COLLATE {})").format(text, sql.Identifier("pg_catalog", collation))
