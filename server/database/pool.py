"""The connections of the server's login: in fair turns, one statement each, bounded in time, ended with its caller."""

import asyncio
from collections.abc import Hashable, Sequence
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool

from server.database.connecting import login_target
from server.database.session import Session
from server.fair_queue import WAIT_S, FairQueue
from server.settings import DatabaseSettings

# The database ended the connection: shutdown, crash, not up yet, idle too long (PostgreSQL, appendix A).
_ENDED: Final = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "25P04"})


class _LostConnectionError(Exception):
    """The connection died before it gave an answer; `cause` is what psycopg said."""

    def __init__(self, cause: psycopg.OperationalError) -> None:
        super().__init__()
        self.cause = cause


class Pool:
    """Autocommit connections with prepared statements; a dead one is replaced and its statement, a read, repeated."""

    def __init__(self, settings: DatabaseSettings) -> None:
        """Prepare; nothing is opened yet."""
        # The database's own limit comes first; this one is for a database that no longer answers at all.
        self._deadline_s: Final = WAIT_S + settings.statement_timeout_ms / 1000 + 0.5
        # One for each connection, so that nobody waits in the pool's own line, which knows no tenants.
        self.places: Final = FairQueue(settings.pool_size, settings.connections_per_tenant)
        self._unwatched: Final = set[asyncio.Task[Any]]()
        self._session: Final = Session(settings)
        self._pool: Final = AsyncConnectionPool[AsyncConnection[Any]](
            kwargs=login_target(settings).pooled,
            min_size=min(2, settings.pool_size),
            max_size=settings.pool_size,
            timeout=WAIT_S,
            configure=self._session.begin,
            # Given up soon, since the next call tries anew: psycopg's pauses between attempts grow without end.
            reconnect_timeout=WAIT_S,
            open=False,
        )

    async def open(self) -> None:
        """Start connecting in the background; a database that is down now is reached when it is back."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection."""
        if self._unwatched:
            await asyncio.wait(self._unwatched, timeout=2)
        await self._pool.close(timeout=2)

    async def run(self, text: bytes, parameters: Sequence[object], holder: Hashable) -> Any:
        """Return the first row of a statement that only reads, or None; `holder` says whose turn it uses.

        Raises TimeoutError when there is no answer in time, psycopg's errors, and those of FairQueue.take.
        """
        place = await self.places.take(holder)
        # A task of its own: a cancellation that is repeated at every step, as anyio's is, would keep psycopg from
        # telling the database to stop, and the pool from taking the connection back.
        work = asyncio.create_task(self._run(text, parameters))
        # Not before the connection is free again, however soon its caller left.
        work.add_done_callback(place.give_back)
        try:
            done, _ = await asyncio.wait((work,), timeout=self._deadline_s)
        except asyncio.CancelledError:
            self._leave(work)
            work.cancel()
            raise
        if not done:
            self._leave(work)
            work.cancel()
            raise TimeoutError("the database did not answer in time")
        return work.result()

    def _leave(self, work: asyncio.Task[Any]) -> None:
        """Let `work` go on unwatched: once cancelled, it ends its statement and gives the connection back."""
        self._unwatched.add(work)
        work.add_done_callback(self._ended)

    def _ended(self, work: asyncio.Task[Any]) -> None:
        self._unwatched.discard(work)
        if not work.cancelled():
            work.exception()  # looked at, so that asyncio does not report it

    async def _run(self, text: bytes, parameters: Sequence[object]) -> Any:
        try:
            return await self._once(text, parameters)
        except _LostConnectionError:
            # After a failover all of them are dead: look at those that wait, so that the second attempt gets a live
            # one. What is being looked at must not be lost when this call is cancelled.
            look = asyncio.create_task(self._pool.check())
            self._leave(look)
            await asyncio.shield(look)
        try:
            return await self._once(text, parameters)
        except _LostConnectionError as error:
            raise error.cause from None

    async def _once(self, text: bytes, parameters: Sequence[object]) -> Any:
        connection = await self._pool.getconn()
        try:
            return await self._session.first_row(connection, text, parameters)
        except psycopg.OperationalError as error:
            if not connection.closed and error.sqlstate not in _ENDED:
                raise
            await connection.close()
            raise _LostConnectionError(error) from error
        finally:
            await self._pool.putconn(connection)

    @property
    def maximum(self) -> int:
        """How many connections there may be."""
        return self._pool.max_size

    @property
    def size(self) -> int:
        """How many connections there are, used and idle ones."""
        return self._pool.get_stats().get("pool_size", 0)

    @property
    def idle(self) -> int:
        """How many of them are idle."""
        return self._pool.get_stats().get("pool_available", 0)
