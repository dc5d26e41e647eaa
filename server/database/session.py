"""The session settings that answers depend on; they are always set, so that no default changes an answer."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, Connection, sql

from server.settings import DatabaseSettings

# The settings for the text of values and for parsing statements. docs/database.md has the same rows.
FORMS: Final[dict[str, str]] = {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "lc_numeric": "C",
    "lc_time": "C",
    "standard_conforming_strings": "on",
    "backslash_quote": "safe_encoding",
    "quote_all_identifiers": "off",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "gin_fuzzy_search_limit": "0",
}
# The settings of the server's login: read-only, under row level security, and unqualified names only from pg_catalog.
SERVING: Final[dict[str, str]] = FORMS | {
    "TimeZone": "UTC",
    "search_path": "pg_catalog",
    "row_security": "on",
    "default_transaction_read_only": "on",
}


def setting(wanted: Mapping[str, str], *, local: bool) -> bytes:
    """Return the statement that sets `wanted` and returns the new values; `local` means for one transaction."""
    calls = [
        sql.SQL("pg_catalog.set_config({}, {}, {})").format(
            sql.Literal(name), sql.Literal(value), sql.SQL("true" if local else "false")
        )
        for name, value in wanted.items()
    ]
    return sql.SQL("SELECT {}").format(sql.SQL(", ").join(calls)).as_string().encode()


def prepare(connection: Connection[Any], wanted: Mapping[str, str], *, local: bool = False) -> None:
    """Set `wanted` with the first statement of a session or transaction, and check the values.

    Raises psycopg.OperationalError when the session does not keep one of them.
    """
    _compare(wanted, connection.cursor().execute(setting(wanted, local=local)).fetchone())


class Session:
    """Sets up the sessions of the server's login: once, or in each transaction if sessions are shared."""

    def __init__(self, settings: DatabaseSettings) -> None:
        """Read the settings `prepared_statements` and `statement_timeout_ms`."""
        self._is_own: Final = settings.prepared_statements
        self._wanted: Final = SERVING | {"statement_timeout": f"{settings.statement_timeout_ms}ms"}
        self._once: Final = setting(self._wanted, local=False)
        # The transaction has already begun, so default_transaction_read_only comes too late for it.
        self._each_time: Final = setting(self._wanted | {"transaction_read_only": "on"}, local=True)

    @property
    def each_time(self) -> bytes | None:
        """The statement that each transaction begins with, None if the session is not shared."""
        return None if self._is_own else self._each_time

    async def begin(self, connection: AsyncConnection[Any]) -> None:
        """Set up a new connection, unless its session is shared."""
        if self._is_own:
            cursor = await connection.execute(self._once, prepare=False)
            _compare(self._wanted, await cursor.fetchone())


def _compare(wanted: Mapping[str, str], row: Sequence[Any] | None) -> None:
    found = dict(zip(wanted, row or (), strict=False))
    for name, value in wanted.items():
        # PostgreSQL writes 5000ms as 5s.
        if name != "statement_timeout" and found.get(name) != value:
            raise psycopg.OperationalError(f"the session does not keep the setting {name} = {value}")
