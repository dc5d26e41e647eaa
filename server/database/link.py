"""One connection that runs one statement at a time through callbacks of the event loop, without a task."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import psycopg
import structlog
from psycopg import AsyncConnection, capabilities, pq

from server.database.parameters import Parameters, dumped

Row = tuple[bytes | None, ...]
# The text of a statement, and the types of its parameters.
_Key = tuple[bytes, tuple[int, ...]]
# Beyond this number, the least recently used one is removed, as in psycopg.
_PREPARED_KEPT: Final = 100
# How long the database has to end a statement after its caller left.
_CANCELLED_WITHIN_S: Final = 5.0
# The database ended the connection: shutdown, crash, still starting, idle too long (PostgreSQL, appendix A).
_ENDED: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "25P04"})
# The statement's result has other columns than when it was prepared, or the prepared statement no longer exists.
_PREPARED_BEFORE: Final = frozenset({"0A000", "26000"})
_TUPLES: Final = pq.ExecStatus.TUPLES_OK
_FAILED: Final = pq.ExecStatus.FATAL_ERROR
_log: Final = structlog.get_logger("database")


class LostConnectionError(Exception):
    """The connection was lost before the answer; `cause` is libpq's error."""

    def __init__(self, cause: psycopg.Error) -> None:
        super().__init__()
        self.cause = cause


class Link:
    """A connection that psycopg has opened, for statements that return at most one row.

    A statement is prepared at its first use. With `settings`, another client may get the session after each
    transaction. Then nothing is prepared, and each statement is sent together with `settings`, a statement that sets up
    the transaction.
    """

    def __init__(
        self, connection: AsyncConnection[Any], settings: bytes | None, freed: Callable[["Link"], None]
    ) -> None:
        """Take over the connection; `freed` is called when it is free for a statement again, and when it is closed."""
        self._connection: Final = connection
        self._server: Final = connection.pgconn
        self._settings: Final = settings
        self._freed: Final = freed
        self._loop: Final = asyncio.get_running_loop()
        self._socket: Final = self._server.socket
        self._names: Final = OrderedDict[_Key, bytes]()
        self._named = 0
        self._asked: tuple[bytes, Parameters] = (b"", dumped(()))
        self._answer: asyncio.Future[Row | None] | None = None
        self._results: list[pq.abc.PGresult] = []
        # The messages that are still to be sent for the current statement.
        self._steps: Final = deque[Callable[[], None]]()
        self._preparing: _Key | None = None
        self._was_prepared = False
        self._left: Callable[[], None] | None = None
        self._cancelling: asyncio.Task[None] | None = None
        self._is_writing = False
        self.is_closed = False
        self.opened_s = self._loop.time()
        self.used_s = self.opened_s
        self._loop.add_reader(self._socket, self._readable)

    def ask(self, text: bytes, parameters: Parameters) -> "asyncio.Future[Row | None]":
        """Send a statement; the future gets its first row or None, psycopg's error, or LostConnectionError."""
        answer = self._answer = self._loop.create_future()
        self._asked = (text, parameters)
        if self._settings is not None:
            self._send(self._send_with_settings)
            return answer
        key = (text, parameters.types)
        name = self._names.get(key)
        self._was_prepared = name is not None
        if name is None:
            self._prepare(key)
        else:
            self._names.move_to_end(key)
            self._send(lambda: self._execute(name))
        return answer

    def leave(self, answer: "asyncio.Future[Row | None]", left: Callable[[], None]) -> None:
        """Cancel a statement whose caller left; `left` is called when the statement has ended."""
        if self._answer is not answer:
            left()
            return
        self._left = left
        self._steps.clear()
        self._cancelling = asyncio.create_task(self._cancel(answer))

    def look(self) -> None:
        """Check whether the other side has closed the connection."""
        self._readable()

    def close(self) -> None:
        """Close the connection; a running statement fails with LostConnectionError."""
        self._lose(psycopg.OperationalError("the connection was closed"))

    async def stopped(self) -> None:
        """Wait until a request to cancel a statement has been sent."""
        if self._cancelling is not None:
            await asyncio.wait((self._cancelling,))

    def _prepare(self, key: _Key) -> None:
        if len(self._names) >= _PREPARED_KEPT:
            self._steps.append(partial(self._forget, self._names.popitem(last=False)[1]))
        self._named += 1
        name = b"tenantgate_%d" % self._named
        self._steps.append(partial(self._begin, key, name))
        self._steps.append(partial(self._execute, name))
        self._send(self._steps.popleft())

    def _forget(self, name: bytes) -> None:
        # Poolers in session mode support the protocol's Close message; some do not support DEALLOCATE.
        if capabilities.has_send_close_prepared():
            self._server.send_close_prepared(name)
        else:
            self._server.send_query(b"DEALLOCATE " + name)

    def _begin(self, key: _Key, name: bytes) -> None:
        self._names[key] = name
        self._preparing = key
        self._server.send_prepare(name, key[0], key[1])

    def _execute(self, name: bytes) -> None:
        self._preparing = None
        parameters = self._asked[1]
        self._server.send_query_prepared(name, parameters.values, parameters.formats)

    def _send_with_settings(self) -> None:
        text, parameters = self._asked
        # All statements before the sync message are one transaction (PostgreSQL, section 55.2.4).
        self._server.enter_pipeline_mode()
        self._server.send_query_params(self._settings or b"", None)
        self._server.send_query_params(text, parameters.values, parameters.types, parameters.formats)
        self._server.pipeline_sync()

    def _send(self, step: Callable[[], None]) -> None:
        try:
            step()
            if self._server.flush():
                self._is_writing = True
                self._loop.add_writer(self._socket, self._writable)
        except psycopg.Error as error:
            self._lose(error)

    def _writable(self) -> None:
        try:
            if not self._server.flush():
                self._is_writing = False
                self._loop.remove_writer(self._socket)
        except psycopg.Error as error:
            self._lose(error)

    def _readable(self) -> None:
        server = self._server
        try:
            server.consume_input()
            has_ended = False
            while not server.is_busy():
                result = server.get_result()
                if result is not None:
                    has_ended = False
                    self._results.append(result)
                elif has_ended or self._settings is None:
                    # A None ends a statement. In a pipeline, one None ends each statement and another one the pipeline.
                    self._end()
                    return
                else:
                    has_ended = True
        except psycopg.Error as error:
            self._lose(error)

    def _end(self) -> None:
        """Handle the result of the last step: send the next one, or give the answer."""
        results, self._results = self._results, []
        failed = next((one for one in results if one.status == _FAILED), None)
        if self._server.status != pq.ConnStatus.OK:
            self._lose(psycopg.errors.error_from_result(failed) if failed else psycopg.OperationalError("it was lost"))
            return
        if not results:
            return
        if self._settings is not None:
            self._server.exit_pipeline_mode()
        if failed is not None:
            self._fail(psycopg.errors.error_from_result(failed))
        elif self._steps:
            self._send(self._steps.popleft())
        else:
            rows = [one for one in results if one.status == _TUPLES]
            self._free(_first_row(rows[-1]) if rows else None)

    def _fail(self, error: psycopg.Error) -> None:
        key = (self._asked[0], self._asked[1].types)
        self._steps.clear()
        if self._preparing is not None:
            self._names.pop(self._preparing, None)
            self._preparing = None
        if error.sqlstate in _ENDED:
            self._lose(error)
        elif error.sqlstate in _PREPARED_BEFORE and self._was_prepared and key in self._names and not self._left:
            # Retry once: the statement that is prepared now has the present columns.
            self._was_prepared = False
            self._steps.append(partial(self._forget, self._names.pop(key)))
            self._prepare(key)
        else:
            self._free(error)

    def _lose(self, error: psycopg.Error) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        # Before the socket is closed and another file gets its number.
        self._loop.remove_reader(self._socket)
        if self._is_writing:
            self._loop.remove_writer(self._socket)
        self._server.finish()
        self._steps.clear()
        self._free(LostConnectionError(error))

    def _free(self, outcome: Row | Exception | None) -> None:
        """Give the answer, and become free when no request to cancel is pending."""
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)
        # A pending request to cancel must not hit the next statement.
        if self._cancelling is None:
            self.used_s = self._loop.time()
            left, self._left = self._left, None
            self._freed(self)
            if left is not None:
                left()

    async def _cancel(self, answer: "asyncio.Future[Row | None]") -> None:
        try:
            await self._connection.cancel_safe(timeout=_CANCELLED_WITHIN_S)
        except Exception as error:  # noqa: BLE001  # after any error, the connection is closed if the statement does not end
            _log.warning("a statement could not be cancelled", cause=type(error).__name__)
        finally:
            self._cancelling = None
            if self._answer is None:
                self._free(None)
            else:
                self._loop.call_later(_CANCELLED_WITHIN_S, self._give_up, answer)

    def _give_up(self, answer: "asyncio.Future[Row | None]") -> None:
        if self._answer is answer:
            _log.warning("a statement did not end when it was cancelled; its connection is closed")
            self.close()


def _first_row(result: "pq.abc.PGresult") -> Row | None:
    if not result.ntuples:
        return None
    return tuple([result.get_value(0, column) for column in range(result.nfields)])
