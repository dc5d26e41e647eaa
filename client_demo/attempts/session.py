"""A session as the service's own login, in the hands of an attacker: any SQL text, with bounds on time and size.

The session begins as the server's do (read-only, row security on), and an attempt is one read-only transaction:
otherwise a login could change its own password, and the stack would be broken for everybody.
"""

import json
import select
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import pq, sql
from sqlglot.dialects.postgres import Postgres
from sqlglot.errors import TokenError
from sqlglot.tokenizer_core import TokenType

from client_demo.attempts.report import Table
from server.database.session import SERVING, prepare

STATEMENT_TIMEOUT_MS: Final = 2_000
_PATIENCE_S: Final = 3.0
MOST_BYTES: Final = 1024 * 1024
MOST_ROWS: Final = 1_000
_ENDED: Final = "it ended the one read-only transaction in which an attempt runs"
_ROWS: Final = frozenset({pq.ExecStatus.TUPLES_OK, pq.ExecStatus.SINGLE_TUPLE})
_COPIES: Final = frozenset({pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_BOTH})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the database answered; `error` is its message with the SQLSTATE, `cut` why the answer was not read whole."""

    tables: Sequence[Table]
    error: str = ""
    cut: str = ""


class _CutError(Exception):
    """The answer is longer, or takes longer, than this page reads."""


class Session:
    """One connection of the service's login for one attempt."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        """Take a connection; `serving_session` sets it up."""
        self._connection: Final = connection

    def run_all(self, text: str) -> Outcome:
        """Run each statement of `text`, all in one read-only transaction; a text that ends it is not run on.

        PostgreSQL makes no transaction writable after its first query, so one is sent before each statement.
        """
        gathered, until = _Gathered(), time.monotonic() + _PATIENCE_S
        self.run("START TRANSACTION READ ONLY")
        for statement in statements_of(text):
            if not self._is_kept_read_only():
                return Outcome(gathered.tables(), cut=_ENDED)
            outcome = self.run(statement, gathered=gathered, until=until)
            if outcome.error or outcome.cut:
                return outcome
        return Outcome(gathered.tables())

    def run(
        self, text: str, context: str | None = None, gathered: "_Gathered | None" = None, until: float | None = None
    ) -> Outcome:
        """Run one statement, with the signed context as its parameter `$1` if there is one."""
        gathered, until = gathered or _Gathered(), until or time.monotonic() + _PATIENCE_S
        error = cut = ""
        try:
            # With parameters, even none, PostgreSQL takes one statement.
            self._connection.pgconn.send_query_params(text.encode(), None if context is None else [context.encode()])
            for result in self._results(until):
                if result.status in _ROWS:
                    gathered.add(result)
                elif result.status == pq.ExecStatus.FATAL_ERROR:
                    error = _message(result)
        except _CutError as reason:
            cut = str(reason)
            self._give_up()
        except psycopg.OperationalError:
            error = error or "the connection was lost"
        return Outcome(gathered.tables(), error, cut)

    def fetch(self, statement: sql.Composed) -> Outcome:
        """Run one of this page's own statements on the session as the attempt left it."""
        if self._connection.pgconn.transaction_status == pq.TransactionStatus.INERROR:
            self.run("ROLLBACK")
        return self.run(statement.as_string())

    def _is_kept_read_only(self) -> bool:
        shown = self.run("SELECT pg_catalog.current_setting('transaction_read_only') AS kept").tables
        is_open = self._connection.pgconn.transaction_status == pq.TransactionStatus.INTRANS
        return is_open and [list(table.rows) for table in shown] == [[["on"]]]

    @property
    def is_open(self) -> bool:
        """Whether the session is still there."""
        return not self._connection.closed

    def _results(self, until: float) -> Iterable[pq.abc.PGresult]:
        """Yield the results as they arrive; raise _CutError when they are too long or take too long."""
        server = self._connection.pgconn
        server.set_single_row_mode()
        rows = 0
        while True:
            while server.is_busy():
                left = until - time.monotonic()
                if left <= 0 or not select.select([server.socket], [], [], left)[0]:
                    raise _CutError(f"it took longer than {_PATIENCE_S:.0f} seconds")
                server.consume_input()
            result = server.get_result()
            if result is None:
                return
            if result.status in _COPIES:
                raise _CutError("COPY is not read by this page")
            rows += result.ntuples
            if rows > MOST_ROWS:
                raise _CutError(f"it has more than {MOST_ROWS} rows")
            yield result

    def _give_up(self) -> None:
        with suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=1)
        self._connection.close()


@contextmanager
def serving_session(url: str) -> Generator[Session]:
    """Yield a session that begins as the server's sessions do; it ends with the attempt, whatever was set in it."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as connection:
        prepare(connection, {**SERVING, "statement_timeout": f"{STATEMENT_TIMEOUT_MS}ms"})
        yield Session(connection)


def statements_of(text: str) -> Iterator[str]:
    """Yield the statements between the semicolons of `text`.

    Where the tokenizer is wrong, PostgreSQL refuses what it gets: nothing relies on these places.
    """
    try:
        ends = [token.start for token in Postgres().tokenize(text) if token.token_type is TokenType.SEMICOLON]
    except TokenError:
        ends = []
    begin = 0
    for end in [*ends, len(text)]:
        if statement := text[begin:end].strip():
            yield statement
        begin = end + 1


class _Gathered:
    """The rows of all results, one table for each list of columns."""

    def __init__(self) -> None:
        self._rows: Final = dict[tuple[str, ...], list[list[str]]]()
        self._length = 0

    def add(self, result: pq.abc.PGresult) -> None:
        """Add the rows of one result; raise _CutError when all are longer than this page reads."""
        columns = tuple((result.fname(place) or b"").decode("utf-8", "replace") for place in range(result.nfields))
        rows = self._rows.setdefault(columns, [])
        for row in range(result.ntuples):
            values = [result.get_value(row, column) for column in range(result.nfields)]
            self._length += sum(len(value or b"") for value in values)
            if self._length > MOST_BYTES:
                raise _CutError(f"it is longer than {MOST_BYTES} bytes")
            rows.append(["NULL" if value is None else value.decode("utf-8", "replace") for value in values])

    def tables(self) -> list[Table]:
        """Return what was gathered."""
        return [Table(columns, rows) for columns, rows in self._rows.items() if columns]


def _message(result: pq.abc.PGresult) -> str:
    fields = [
        result.error_field(field) or b"" for field in (pq.DiagnosticField.MESSAGE_PRIMARY, pq.DiagnosticField.SQLSTATE)
    ]
    message, code = (field.decode("utf-8", "replace") for field in fields)
    return f"{message} (SQLSTATE {code})"


def as_rows(table: Table) -> Table | None:
    """Return the rows inside the answer of a wrapped statement (tenant, rows); None for another shape."""
    if tuple(table.columns) != ("tenant", "rows") or len(table.rows) != 1:
        return None
    try:
        rows: list[dict[str, Any]] = json.loads(table.rows[0][1], parse_float=str)
        columns = list(rows[0]) if rows else []
        return Table(columns, [[_text(row.get(column)) for column in columns] for row in rows])
    except (ValueError, AttributeError, TypeError):
        return None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "NULL" if value is None else json.dumps(value)
