"""Statements of the server's login: in fair turns, one per connection, bounded in time, ended with their caller."""

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
    """Autocommit connections with prepared statements; a dead one is replaced and its statement, a read, repeated."""

    def __init__(self, settings: DatabaseSettings) -> None:
        """Prepare; nothing is opened yet."""
        # The database's own limit comes first; this one is for a database that no longer answers at all.
        self._deadline_s: Final = WAIT_S + settings.statement_timeout_ms / 1000 + 0.5
        # One for each connection, so that nobody waits for a connection where tenants are not known.
        self.places: Final = FairQueue(settings.pool_size, settings.connections_per_tenant)
        self._links: Final = Links(login_target(settings), Session(settings), settings.pool_size, WAIT_S)

    async def open(self) -> None:
        """Start connecting in the background; a database that is down now is reached when it is back."""
        self._links.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._links.close()

    async def run(self, text: bytes, values: Sequence[object], holder: Hashable) -> Row | None:
        """Return the first row of a statement that only reads, as text, or None; `holder` says whose turn it uses.

        Raises TimeoutError when there is no answer in time, psycopg's errors, and those of FairQueue.take.
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
                # The place is free when the connection is, however soon its caller left.
                link.leave(answer, place.give_back)
                raise
            except LostConnectionError as error:
                if is_last:
                    place.give_back()
                    raise error.cause from None
                # So that the second attempt gets a live one.
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
        """How many connections there may be."""
        return self._links.maximum

    @property
    def size(self) -> int:
        """How many connections there are, used and idle ones."""
        return self._links.size

    @property
    def idle(self) -> int:
        """How many of them are idle."""
        return self._links.idle


def _expire(answer: "asyncio.Future[Row | None]") -> None:
    if not answer.done():
        answer.set_exception(TimeoutError("the database did not answer in time"))
