"""Poolers and proxies in front of PostgreSQL: explain what they refuse, and detect shared sessions."""

import select
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg
from psycopg import Connection, pq

# A part of the message, its cause, and the remedy; `{key}` is the setting. docs/database.md has the same rows.
REFUSALS: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "unsupported startup parameter",
        "PgBouncer refuses a startup parameter ({words})",
        "remove it from {key} and from PGOPTIONS, or name it in ignore_startup_parameters of pgbouncer.ini",
    ),
    (
        "doesn't support command-line options",
        "RDS Proxy accepts no `options`",
        "remove options from {key}, and unset PGOPTIONS",
    ),
    (
        "Endpoint ID is not specified",
        "the proxy in front of the database (Neon, or one like it) does not know the endpoint",
        "add options=endpoint%3D<endpoint id> to {key}",
    ),
    (
        "transaction blocks not allowed in statement pooling mode",
        "PgBouncer runs with pool_mode = statement, which has no transactions",
        "use a pool in transaction mode, with database.prepared_statements = false, or in session mode",
    ),
    (
        "does not keep the setting",
        "the pooler in front of the database shares session settings between clients ({words})",
        "use a pool in session mode, or set database.prepared_statements = false",
    ),
    (
        "prepared statement",
        "the pooler shares prepared statements between clients ({words})",
        "set database.prepared_statements = false, or use a pool in session mode",
    ),
)
# This sets a custom setting, which nobody reads. A proxy such as RDS Proxy shares connections only until a session sets
# something, and keeps this session on one connection from then on. A pooler in transaction mode does not.
_QUESTION: Final = b"SELECT pg_catalog.pg_backend_pid(), pg_catalog.set_config('tenantgate.session', 'own', false)"
_ROUNDS: Final = 4
# A pool in session mode does not answer while it has no free connection.
_ANSWER_S: Final = 3.0


def refusal(said: str, key: str) -> str | None:
    """Return the explanation of a pooler's or proxy's message, None for any other message."""
    for part, sentence, remedy in REFUSALS:
        if part in said:
            words = next(line.strip() for line in said.splitlines() if part in line)
            return f"{sentence}; {remedy}".replace("{key}", key).replace("{words}", words)
    return None


def shares_sessions(connection: Connection[Any], connect: Callable[[], Connection[Any]]) -> bool:
    """Whether a pooler in front gives the same database session to several clients (transaction mode).

    Opens a second connection, but only behind a pooler, which shows because it gives clients its own process ids.
    """
    mine = {_backend(connection)}
    if None in mine:
        raise psycopg.OperationalError("the pooler has no free connection of the database")
    if mine == {connection.info.backend_pid}:
        return False
    theirs = set[int | None]()
    with connect() as other:
        for _ in range(_ROUNDS):
            answer = _backend(other)
            if answer is None:
                return False
            theirs.add(answer)
            mine.add(_backend(connection))
    return len(mine) > 1 or len(theirs) > 1 or bool(mine & theirs)


def _backend(connection: Connection[Any]) -> int | None:
    """Return the process id of the database's backend, None when there is no answer in time."""
    server = connection.pgconn
    server.send_query(_QUESTION)
    server.flush()
    until = time.monotonic() + _ANSWER_S
    while server.is_busy():
        if time.monotonic() > until:
            connection.close()
            return None
        select.select([server.socket], [], [], 0.1)
        server.consume_input()
    found: int | None = None
    while (result := server.get_result()) is not None:
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise psycopg.errors.error_from_result(result)
        found = int(result.get_value(0, 0) or b"0")
    return found
