"""How letter case is ignored in one database, whatever its locale: by a collation that knows every letter."""

from typing import Any, Final

import psycopg
from psycopg import sql

# Collations of pg_catalog, the best first. pg_c_utf8 came with PostgreSQL 17, the next are there where the machine has
# the locale, and und-x-icu where PostgreSQL was built with ICU. The first ones lower each letter by itself, so that a
# part of a text is found wherever it stands; ICU writes the Greek sigma in two ways.
_CANDIDATES: Final = ("pg_c_utf8", "C.utf8", "C.UTF-8", "en_US.utf8", "und-x-icu", "default")
# A letter beyond ASCII, small and capital.
_SMALL, _CAPITAL = "ü", "Ü"

# Nothing of the database is known, or nothing in it helps: only a to z are the same in both cases.
ASCII: Final = ""


def read_letter_case(connection: psycopg.Connection[Any]) -> str:
    """Return the collation that knows letter case here; `ASCII` when this database has none.

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
    """Return the expression of a text in small letters."""
    if not collation:
        return sql.SQL("lower({})").format(text)
    return sql.SQL("lower({} COLLATE {})").format(text, sql.Identifier("pg_catalog", collation))
