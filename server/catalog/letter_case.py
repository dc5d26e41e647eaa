"""How letter case is ignored in one database, whatever its locale: by a collation that knows every letter."""

from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

# A function and a collation of pg_catalog, the most thorough first. `casefold` came with PostgreSQL 18, pg_c_utf8 with
# 17; the others are there where PostgreSQL was built with ICU or the machine has the locale. Not lower(): it writes the
# Greek sigma in two ways, by its place in the word.
_CANDIDATES: Final[tuple[tuple[LiteralString, str], ...]] = (
    ("casefold", "pg_unicode_fast"),
    ("upper", "und-x-icu"),
    ("upper", "pg_c_utf8"),
    ("upper", "C.utf8"),
    ("upper", "C.UTF-8"),
    ("upper", "en_US.utf8"),
    # The database's own.
    ("upper", "default"),
)
# A letter beyond ASCII, small and capital.
_SMALL, _CAPITAL = "ü", "Ü"

LetterCase = tuple[str, str]
# Nothing of the database is known, or nothing in it helps: only a to z are the same in both cases.
ASCII: Final[LetterCase] = ("upper", "")


def read_letter_case(connection: psycopg.Connection[Any]) -> LetterCase:
    """Return the function and the collation that ignore letter case here; `ASCII` when this database has none.

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


def folded(text: sql.Composable, case: LetterCase) -> sql.Composed:
    """Return the expression of a text without its letter case."""
    function, collation = case
    if not collation:
        return sql.SQL("{}({})").format(sql.Identifier("pg_catalog", function), text)
    return sql.SQL("{}({} COLLATE {})").format(
        sql.Identifier("pg_catalog", function), text, sql.Identifier("pg_catalog", collation)
    )
