"""Run the server login's statements in fair turns, with a deadline; cancel a statement when its caller leaves."""

import asyncio
from collections.abc import Hashable, Sequence
from typing import Final

from server.database.connecting import login_target
from server.database.link import LostConnectionError, Row
from server.database.links import Links
from server.database.parameters import dumped
from server.database.session import Session
from server.fair_queue import WAIT_S, FairQueue
from server.settings import DatabaseSettings


class Pool:
    """Autocommit connections with prepared statements; a dead one is replaced, and its statement, a read, repeated."""

    def __init__(self, settings: DatabaseSettings) -> None:
        """Open nothing yet."""
        # The database's statement_timeout ends earlier; this limit is for a database that no longer answers.
        self._deadline_s: Final = WAIT_S + settings.statement_timeout_ms / 1000 + 0.5
        # One place per connection, so that callers wait here, in fair turns, and not for a connection.
        self.places: Final = FairQueue(settings.pool_size, settings.connections_per_tenant)
        self._links: Final = Links(login_target(settings), Session(settings), settings.pool_size, WAIT_S)

    async def open(self) -> None:
        """Start connecting in the background; attempts continue while the database is down."""
        self._links.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._links.close()

    async def run(self, text: bytes, values: Sequence[object], holder: Hashable) -> Row | None:
        """Return the first row of a read-only statement as text, or None; `holder` is the tenant whose turn it uses.

        Raises TimeoutError when there is no answer in time, psycopg's errors, and the errors of FairQueue.take.
        """
        parameters = dumped(values)
        place = await self.places.take(holder)
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._deadline_s
        for is_last in (False, True):
            try:
                link = self._links.free() or await self._links.next()
            except BaseException:
                place.give_back()
                raise
            answer = link.ask(text, parameters)
            timer = loop.call_at(until_s, _expire, answer)
            try:
                row = await answer
            except (asyncio.CancelledError, TimeoutError):
                # The place becomes free together with the connection, even if the caller leaves earlier.
                link.leave(answer, place.give_back)
                raise
            except LostConnectionError as error:
                if is_last:
                    place.give_back()
                    raise error.cause from None
                # Remove dead connections, so that the second attempt gets a live one.
                self._links.look()
            except BaseException:
                place.give_back()
                raise
            else:
                place.give_back()
                return row
            finally:
                timer.cancel()
        raise AssertionError("the second attempt returns or raises")

    @property
    def maximum(self) -> int:
        """The largest number of connections."""
        return self._links.maximum

    @property
    def size(self) -> int:
        """The number of connections, used and idle."""
        return self._links.size

    @property
    def idle(self) -> int:
        """The number of idle connections."""
        return self._links.idle


def _expire(answer: "asyncio.Future[Row | None]") -> None:
    if not answer.done():
        answer.set_exception(TimeoutError("the database did not answer in time"))
