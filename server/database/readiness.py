"""Whether the database answers, for readiness checks without a token; many checks cost no more than one."""

import asyncio
import time
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection

from server.database.connecting import login_target
from server.errors import StartupError
from server.settings import DatabaseSettings

KEPT_S: Final = 1.0
_WITHIN_S: Final = 1.5


class Readiness:
    """Asks the database one question at a time, at most one per second, on a separate connection.

    So it needs no place in the pool: many checks do not load the pool, and a busy pool does not look like a database
    that is down.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        """Open nothing yet."""
        self._target: Final = login_target(settings)
        self._connection: AsyncConnection[Any] | None = None
        self._asking: asyncio.Task[bool] | None = None
        self._answer = (0.0, False)

    async def answers(self) -> bool:
        """Return whether the database answered within the last second."""
        until, answered = self._answer
        if time.monotonic() < until:
            return answered
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask())
        # If one caller leaves, the others still get the answer.
        return await asyncio.shield(self._asking)

    async def close(self) -> None:
        """Stop asking, and close the connection."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait((self._asking,))
        await self._drop()

    async def _ask(self) -> bool:
        answered = False
        try:
            async with asyncio.timeout(_WITHIN_S):
                # If an older connection fails, try a new one: the database may be back.
                answered = (self._connection is not None and await self._once()) or await self._once()
        except TimeoutError:
            await self._drop()
        finally:
            self._answer = (time.monotonic() + KEPT_S, answered)
            self._asking = None
        return answered

    async def _once(self) -> bool:
        try:
            if self._connection is None:
                parameters: dict[str, Any] = await self._target.pooled()
                parameters["prepare_threshold"] = None
                self._connection = await AsyncConnection.connect(**parameters)
            await self._connection.execute("SELECT 1")
        except (psycopg.Error, StartupError):
            await self._drop()
            return False
        return True

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()
