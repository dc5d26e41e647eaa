"""The slow twin of the direct path: the same statement through psycopg's own cursor, prepared."""

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection

from server.database.connecting import login_target
from server.database.links import opened
from server.database.session import Session
from server.settings import DatabaseSettings

Row = tuple[bytes | None, ...]


class PsycopgWay:
    """Answers as server.database.pool.Pool does."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._connection: AsyncConnection[Any] | None = None

    async def open(self) -> None:
        self._connection = await opened(login_target(self._settings), Session(self._settings))

    async def close(self) -> None:
        assert self._connection is not None
        await self._connection.close()

    async def run(self, text: bytes, values: Sequence[object]) -> Row | None:
        assert self._connection is not None
        cursor = await self._connection.execute(text, values, prepare=True)
        result = cursor.pgresult
        assert result is not None
        return tuple(result.get_value(0, column) for column in range(result.nfields)) if result.ntuples else None
