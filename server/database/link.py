"""One connection: one statement at a time, sent and answered by callbacks of the event loop, without a task for it."""

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
# The least recently used one makes room, as with psycopg.
_PREPARED_KEPT: Final = 100
# How long the database has to end a statement that nobody waits for any longer.
_CANCELLED_WITHIN_S: Final = 5.0
# The database ended the connection: shutdown, crash, not up yet, idle too long (PostgreSQL, appendix A).
_ENDED: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "25P04"})
# The result has other columns than when it was prepared, or somebody took the prepared statement away.
_PREPARED_BEFORE: Final = frozenset({"0A000", "26000"})
_TUPLES: Final = pq.ExecStatus.TUPLES_OK
_FAILED: Final = pq.ExecStatus.FATAL_ERROR
_log: Final = structlog.get_logger("database")


class LostConnectionError(Exception):
    """The connection died before it gave an answer; `cause` is what libpq said."""

    def __init__(self, cause: psycopg.Error) -> None:
        super().__init__()
        self.cause = cause


class Link:
    """A connection that psycopg has opened, for statements that answer with at most one row.

    A statement is prepared when it comes for the first time. With `settings`, the session is another client's after
    each transaction: nothing is prepared, and each statement travels with that one, which sets what it needs.
    """

    def __init__(
        self, connection: AsyncConnection[Any], settings: bytes | None, freed: Callable[["Link"], None]
    ) -> None:
        """Take the connection over; `freed` is called when it can take a statement again, and when it is closed."""
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
        # What is still to be sent for the statement that is answered now.
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
        """Send a statement; its first row comes, or None, or psycopg's error, or LostConnectionError."""
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
        """Let the database end a statement whose answer nobody waits for; `left` is called when that is over."""
        if self._answer is not answer:
            left()
            return
        self._left = left
        self._steps.clear()
        self._cancelling = asyncio.create_task(self._cancel(answer))

    def look(self) -> None:
        """Find out whether the other side has closed the connection."""
        self._readable()

    def close(self) -> None:
        """Close the connection; what was asked on it is lost."""
        self._lose(psycopg.OperationalError("the connection was closed"))

    async def stopped(self) -> None:
        """Wait until the database was told to end a statement that was left."""
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
        # Poolers in session mode know the message of the protocol, and not all of them the statement.
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
        # What is sent before one answer is awaited is one transaction (PostgreSQL, section 55.2.4).
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
                    # A statement ends with one None; in a pipeline each does, and the whole with one more.
                    self._end()
                    return
                else:
                    has_ended = True
        except psycopg.Error as error:
            self._lose(error)

    def _end(self) -> None:
        """Judge what the last step came to: take the next one, or give the answer."""
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
            # Once: what is prepared now has the columns of now.
            self._was_prepared = False
            self._steps.append(partial(self._forget, self._names.pop(key)))
            self._prepare(key)
        else:
            self._free(error)

    def _lose(self, error: psycopg.Error) -> None:
        if self.is_closed:
            return
        self.is_closed = True
        # Before another file can have the number of the socket.
        self._loop.remove_reader(self._socket)
        if self._is_writing:
            self._loop.remove_writer(self._socket)
        self._server.finish()
        self._steps.clear()
        self._free(LostConnectionError(error))

    def _free(self, outcome: Row | Exception | None) -> None:
        """Give the answer, and take the next statement once nothing of this one is on its way."""
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            if isinstance(outcome, Exception):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)
        # A request to cancel that is still on its way must not meet the next statement.
        if self._cancelling is None:
            self.used_s = self._loop.time()
            left, self._left = self._left, None
            self._freed(self)
            if left is not None:
                left()

    async def _cancel(self, answer: "asyncio.Future[Row | None]") -> None:
        try:
            await self._connection.cancel_safe(timeout=_CANCELLED_WITHIN_S)
        except Exception as error:  # noqa: BLE001  # whatever it was, the connection is given up when this does not end
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
