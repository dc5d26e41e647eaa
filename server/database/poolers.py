"""Poolers and proxies in front of PostgreSQL: what they refuse, in our words, and whether clients share sessions."""

import select
import time
from collections.abc import Callable
from typing import Any, Final

import psycopg
from psycopg import Connection, pq

# Part of what is said, who says so, and the remedy; `{key}` is the setting. docs/database.md has the same rows.
REFUSALS: Final[tuple[tuple[str, str, str], ...]] = (
    (
        "unsupported startup parameter",
        "PgBouncer refuses a startup parameter ({words})",
        "take it out of {key} and of PGOPTIONS, or name it in ignore_startup_parameters of pgbouncer.ini",
    ),
    (
        "doesn't support command-line options",
        "RDS Proxy accepts no `options`",
        "take options out of {key}, and unset PGOPTIONS",
    ),
    (
        "Endpoint ID is not specified",
        "the proxy in front of the database (Neon, or one like it) was not told the endpoint",
        "add options=endpoint%3D<endpoint id> to {key}",
    ),
    (
        "transaction blocks not allowed in statement pooling mode",
        "PgBouncer runs with pool_mode = statement, which has no transactions",
        "use a pool in transaction mode, with database.prepared_statements = false, or in session mode",
    ),
    (
        "does not keep the setting",
        "the pooler in front of the database gives away what a session has set ({words})",
        "use a pool in session mode, or set database.prepared_statements = false",
    ),
    (
        "prepared statement",
        "the pooler shares prepared statements between clients ({words})",
        "set database.prepared_statements = false, or use a pool in session mode",
    ),
)
# A setting of its own, which nobody reads: a proxy that shares connections until a session has one, as RDS Proxy does,
# keeps this session together from here on, and a pooler in transaction mode still does not.
_QUESTION: Final = b"SELECT pg_catalog.pg_backend_pid(), pg_catalog.set_config('tenantgate.session', 'own', false)"
_ROUNDS: Final = 4
# A pool in session mode without a free connection does not answer at all.
_ANSWER_S: Final = 3.0


def refusal(said: str, key: str) -> str | None:
    """Return the sentence for what a pooler or proxy answered, None for what is not known to be from one."""
    for part, sentence, remedy in REFUSALS:
        if part in said:
            words = next(line.strip() for line in said.splitlines() if part in line)
            return f"{sentence}; {remedy}".replace("{key}", key).replace("{words}", words)
    return None


def shares_sessions(connection: Connection[Any], connect: Callable[[], Connection[Any]]) -> bool:
    """Whether a pooler in front hands the sessions of the database from client to client (transaction mode).

    Asks through a second connection, and only where a pooler is: it numbers its clients itself.
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
    """Return the process of the database that answers, None when nobody answers in time."""
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
