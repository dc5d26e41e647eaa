"""The database: a signed tenant context and one read-only statement, in one round trip."""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
import structlog

from server.database.context_keys import CONTEXT_LIFETIME_S
from server.database.pool import WAIT_S, Pool
from server.database.statement import Principal, R, Statement
from server.errors import UnavailableError, WithheldError
from server.settings import DatabaseSettings

_DOWN: Final = "The database is not available; nothing was read. Retry in a few seconds."
_SLOW: Final = "The database took too long; nothing was read. Retry, or narrow the filters."
_BUSY: Final = "Your tenant has too many calls running at once; nothing was read. Retry in a few seconds."
_WITHHELD: Final = "The database did not confirm your tenant; nothing was returned. The error was logged."
_log: Final = structlog.get_logger("database")


class Database:
    """The pool of `app_user` connections; it signs every statement for one principal."""

    def __init__(self, settings: DatabaseSettings) -> None:
        """Prepare the pool; nothing is opened yet."""
        self._keys: Final = settings.signing_keys()
        # Nothing is read before isolation was proved on this database, and no longer than it holds.
        self.proved = False
        self._pool: Final = Pool(settings)
        # By default one tenant, however noisy, leaves the others a quarter of the pool.
        self._share: Final = settings.connections_per_tenant or math.ceil(settings.pool_size * 3 / 4)
        # One a tenant that was ever served: bounded by the tenant registry.
        self._places: Final = dict[str | None, asyncio.Semaphore]()

    async def open(self) -> None:
        """Start connecting in the background; a database that is down now is reached when it is back."""
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close()

    async def is_ready(self) -> bool:
        """Whether isolation is proved and a statement can be run now."""
        if not self.proved:
            return False
        try:
            await self._pool.run(b"SELECT 1", ())
        except (psycopg.Error, TimeoutError):
            return False
        return True

    async def fetch(self, statement: Statement[R], values: Sequence[object], principal: Principal) -> list[R]:
        """Run `statement` for `principal` and return its rows.

        Raises UnavailableError when the database is down, busy or too slow, and WithheldError when it does not accept
        the context or enforces another one.
        """
        if not self.proved:
            raise UnavailableError(_DOWN)
        places = await self._place(principal.tenant)
        try:
            row = await self._pool.run(statement.sent, [*values, self._sign(statement, principal)])
        except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable, TimeoutError) as error:
            raise UnavailableError(_SLOW) from error
        except psycopg.errors.InsufficientPrivilege as error:
            _log.critical("the database refused the tenant context", statement=statement.name, problem=str(error))
            raise WithheldError(_WITHHELD) from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise UnavailableError(_DOWN) from error
        finally:
            places.release()
        if row is None or row[0] != principal.tenant:
            _log.critical("the database enforced another tenant than the token's", statement=statement.name)
            raise WithheldError(_WITHHELD)
        return statement.read(row[1])

    async def _place(self, tenant: str | None) -> asyncio.Semaphore:
        """Return the tenant's places with one of them taken; raise UnavailableError when none comes free in time."""
        places = self._places.setdefault(tenant, asyncio.Semaphore(self._share))
        if not places.locked():
            await places.acquire()
            return places
        try:
            async with asyncio.timeout(WAIT_S):
                await places.acquire()
        except TimeoutError as error:
            raise UnavailableError(_BUSY) from error
        return places

    def _sign(self, statement: Statement[Any], principal: Principal) -> str:
        """Return the context that the database verifies, for this statement alone."""
        return self._keys[0].sign(
            person=(principal.issuer, principal.subject),
            tenant=principal.tenant or "",
            tier=principal.tier or "",
            expiry_s=int(time.time()) + CONTEXT_LIFETIME_S,
            digest=statement.digest,
        )


@dataclass(frozen=True, slots=True)
class TenantDatabase:
    """The database as one principal sees it; the only handle that a tool is given."""

    _database: Database
    _principal: Principal

    async def fetch(self, statement: Statement[R], *values: object) -> list[R]:
        """Run `statement` and return its rows, as row level security lets this principal see them.

        Raises UnavailableError when the database is down, busy or too slow, and WithheldError as Database does.
        """
        return await self._database.fetch(statement, values, self._principal)
