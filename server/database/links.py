"""The connections of the server's login: opened when needed, kept while used, replaced when lost."""

import asyncio
from collections import deque
from typing import Any, Final

import psycopg
import structlog
from psycopg import AsyncConnection

from server.chance import CHANCE
from server.database.connecting import Target
from server.database.link import Link, LostConnectionError
from server.database.parameters import dumped
from server.database.session import Session
from server.errors import StartupError

# The number of connections that are kept even when nobody needs them.
_LEAST: Final = 2
_OPENED_WITHIN_S: Final = 10.0
_PAUSE_S: Final = 0.3
_TIDIED_EVERY_S: Final = 30.0
_IDLE_S: Final = 600.0
# Connections are replaced after this time, not all at once, so that a changed password or address is noticed.
_LIFETIME_S: Final = 3_600.0
_LIFETIME_SPREAD_S: Final = 360.0
_SAID_EVERY_S: Final = 1.0
_CLOSED_WITHIN_S: Final = 2.0
# The first call of this function on a connection takes milliseconds.
_WARM_UP: Final = b"SELECT tenancy.current_tenant()"
_log: Final = structlog.get_logger("database")


async def opened(target: Target, session: Session) -> AsyncConnection[Any]:
    """Return a new connection with our session settings; raises psycopg's errors and StartupError."""
    connection = await AsyncConnection[Any].connect(**await target.pooled())
    try:
        await session.begin(connection)
    except BaseException:
        connection.pgconn.finish()
        raise
    return connection


class Links:
    """At most `most` connections for one statement each; a taken connection returns when its statement has ended."""

    def __init__(self, target: Target, session: Session, most: int, wait_s: float) -> None:
        """Open nothing yet; a caller waits at most `wait_s` for a connection."""
        self.maximum: Final = most
        self._target: Final = target
        self._session: Final = session
        self._least: Final = min(_LEAST, most)
        self._wait_s: Final = wait_s
        self._all: Final = set[Link]()
        # The last used connection is taken first, so that connections that are not needed stay idle.
        self._free: Final = list[Link]()
        self._waiting: Final = deque[asyncio.Future[Link]]()
        self._openings: Final = set[asyncio.Task[None]]()
        self._tidying: asyncio.TimerHandle | None = None
        self._said_s: float | None = None
        self._is_closed = False

    @property
    def size(self) -> int:
        """The number of connections, used and idle."""
        return len(self._all)

    @property
    def idle(self) -> int:
        """The number of idle connections."""
        return len(self._free)

    def open(self) -> None:
        """Begin to connect; if the database is down now, the next statement tries again."""
        self._tidy()

    async def close(self) -> None:
        """Wait for requests to cancel statements, and close every connection."""
        self._is_closed = True
        if self._tidying is not None:
            self._tidying.cancel()
        for opening in self._openings:
            opening.cancel()
        ending = [asyncio.ensure_future(link.stopped()) for link in self._all]
        if ending or self._openings:
            await asyncio.wait([*ending, *self._openings], timeout=_CLOSED_WITHIN_S)
        for link in tuple(self._all):
            link.close()

    def free(self) -> Link | None:
        """Take a connection that is free now, if there is one."""
        return self._free.pop() if self._free else None

    async def next(self) -> Link:
        """Wait for a free connection and take it; raises psycopg.OperationalError when there is none in time."""
        turn: asyncio.Future[Link] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._grow()
        try:
            async with asyncio.timeout(self._wait_s):
                return await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._put(turn.result())
            turn.cancel()
            if isinstance(error, TimeoutError):
                raise psycopg.OperationalError("no connection to the database could be opened in time") from None
            raise

    def look(self) -> None:
        """Find dead connections among the free ones; after a failover, all of them are dead."""
        for link in tuple(self._free):
            link.look()

    def _put(self, link: Link) -> None:
        """Take back a connection that is free again, or closed."""
        if link not in self._all:
            return  # it is not ready yet
        if link.is_closed or self._is_closed or link.used_s - link.opened_s > _LIFETIME_S:
            self._drop(link)
            return
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(link)
                return
        self._free.append(link)

    def _drop(self, link: Link) -> None:
        if link in self._all:
            self._all.remove(link)
            if link in self._free:
                self._free.remove(link)
            link.close()
            self._grow()

    def _grow(self) -> None:
        """Open as many connections as callers wait for, and at least the number that is always kept."""
        if self._is_closed:
            return
        waiting = sum(not turn.done() for turn in self._waiting)
        wanted = max(waiting, self._least - len(self._all))
        for _ in range(min(wanted, self.maximum - len(self._all)) - len(self._openings)):
            opening = asyncio.create_task(self._open())
            self._openings.add(opening)
            opening.add_done_callback(self._opened)

    def _opened(self, opening: asyncio.Task[None]) -> None:
        self._openings.discard(opening)
        if not opening.cancelled() and any(not turn.done() for turn in self._waiting):
            self._grow()

    async def _open(self) -> None:
        """Open a connection; if that fails, try again for as long as a statement would wait."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._wait_s
        while True:
            try:
                async with asyncio.timeout(_OPENED_WITHIN_S):
                    await self._connect()
            except (psycopg.Error, LostConnectionError, StartupError, OSError) as error:  # TimeoutError is an OSError
                self._say(error)
            else:
                return
            if loop.time() + _PAUSE_S > until:
                return
            await asyncio.sleep(_PAUSE_S)

    async def _connect(self) -> None:
        link = Link(await opened(self._target, self._session), self._session.each_time, self._put)
        link.opened_s -= CHANCE.random() * _LIFETIME_SPREAD_S
        try:
            await link.ask(_WARM_UP, dumped(()))
        except BaseException:
            link.close()
            raise
        self._all.add(link)
        self._put(link)

    def _say(self, error: Exception) -> None:
        """Log why there is no connection, but not for every attempt."""
        now = asyncio.get_running_loop().time()
        if self._said_s is None or now - self._said_s >= _SAID_EVERY_S:
            self._said_s = now
            cause = error.cause if isinstance(error, LostConnectionError) else error
            _log.warning("no connection to the database", cause=self._target.words(cause))

    def _tidy(self) -> None:
        """Close connections that are too old or idle for too long, and open new ones up to the minimum."""
        loop = asyncio.get_running_loop()
        self._tidying = loop.call_later(_TIDIED_EVERY_S, self._tidy)
        now = loop.time()
        for link in tuple(self._free):
            if now - link.opened_s > _LIFETIME_S or (now - link.used_s > _IDLE_S and len(self._all) > self._least):
                self._drop(link)
        self._grow()
