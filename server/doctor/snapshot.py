"""Put the administrator's and the login's connection on one snapshot: both count the same rows while others write."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final, LiteralString

import psycopg
from psycopg import IsolationLevel, sql

_SETTLE: Final[LiteralString] = """
SELECT set_config('search_path', 'pg_catalog', true), set_config('quote_all_identifiers', 'off', true),
       set_config('standard_conforming_strings', 'on', true), set_config('jit', 'off', true),
       set_config('statement_timeout', $1, true), set_config('idle_in_transaction_session_timeout', '0', true)
"""


@contextmanager
def one_snapshot(admin: psycopg.Connection[Any], login: psycopg.Connection[Any], timeout_ms: int) -> Generator[bool]:
    """Open a read-only transaction on both; yield whether they share a snapshot, which is possible on one server."""
    for connection in (admin, login):
        connection.isolation_level = IsolationLevel.REPEATABLE_READ
        connection.read_only = True
    with admin.transaction():
        ((snapshot,),) = admin.execute("SELECT pg_export_snapshot()").fetchall()
        is_shared = _can_share(login, snapshot)
        with login.transaction():
            if is_shared:
                login.execute(_sharing(snapshot))
            admin.execute(_SETTLE, (str(timeout_ms),))
            login.execute(_SETTLE, (str(timeout_ms),))
            yield is_shared


def _can_share(login: psycopg.Connection[Any], snapshot: str) -> bool:
    try:
        with login.transaction():
            login.execute(_sharing(snapshot))
    except psycopg.OperationalError:
        raise
    except psycopg.Error:
        return False
    return True


def _sharing(snapshot: str) -> sql.Composed:
    return sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(snapshot))
