"""The database: each call sends a signed tenant context and one read-only statement in one round trip."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any, Final

import psycopg
import structlog

from server.database.context_keys import CONTEXT_LIFETIME_S
from server.database.pool import Pool
from server.database.readiness import Readiness
from server.database.statement import Principal, R, Statement
from server.errors import MisconfiguredError, RefusedError, ToolError, UnavailableError, WithheldError
from server.settings import DatabaseSettings
from server.telemetry.watch import CURRENT

_DOWN: Final = "The database is not available; nothing was read. Retry in a few seconds."
_SLOW: Final = "The database took too long; nothing was read. Retry, or narrow the filters."
_WITHHELD: Final = "The database did not confirm your tenant; nothing was returned. The error was logged."
_NOT_COMPUTED: Final = (
    "The database could not compute this answer; nothing was returned. Change the arguments; "
    "a retry with the same ones does not help."
)
_MISFIT: Final = (
    "This tool does not fit the database; nothing was read. A retry does not help; "
    "tell your administrator, who finds the reason in the server's log."
)
_log: Final = structlog.get_logger("database")


class _CodeError(Exception):
    """The cause of a failed statement for the log: only its SQLSTATE, since PostgreSQL's message can contain a row."""


def _failure(statement: str, error: psycopg.Error) -> ToolError:
    """Return the caller's error for a statement that failed because of its values (SQLSTATE class 22) or its names."""
    if isinstance(error, psycopg.DataError):
        return RefusedError(_NOT_COMPUTED)
    _log.error("a statement does not fit the database", statement=statement, sqlstate=error.sqlstate)
    return MisconfiguredError(_MISFIT)


class Database:
    """The pool of `app_user` connections; it signs every statement for one principal."""

    def __init__(self, settings: DatabaseSettings) -> None:
        """Prepare the pool; nothing is opened yet."""
        self._keys: Final = settings.signing_keys()
        # Nothing is read before isolation was proved on this database, and only while the last check passes.
        self.proved = False
        # Set by rows of another tenant: isolation is proved again at once.
        self.doubted: Final = asyncio.Event()
        # The time of the last proof, by time.monotonic().
        self.proved_at: float | None = None
        self._pool: Final = Pool(settings)
        self._readiness: Final = Readiness(settings)

    async def open(self) -> None:
        """Start connecting in the background; attempts continue while the database is down."""
        await self._pool.open()

    async def close(self) -> None:
        """Close every connection."""
        await self._readiness.close()
        await self._pool.close()

    @property
    def pool(self) -> Pool:
        """The pool, for the metrics."""
        return self._pool

    async def is_ready(self) -> bool:
        """Whether isolation is proved and the database answered within the last second."""
        return self.proved and await self._readiness.answers()

    async def fetch(self, statement: Statement[R], values: Sequence[object], principal: Principal) -> list[R]:
        """Run `statement` for `principal` and return its rows.

        Tenants take turns; lookups of tenants count as one more tenant. Raises UnavailableError when the database is
        down, busy or too slow, LimitError when too many calls of the tenant wait, WithheldError when the database does
        not accept the context or enforces another one, RefusedError when it cannot compute the answer, and
        MisconfiguredError when the statement does not fit the database.
        """
        if not self.proved:
            raise UnavailableError(_DOWN)
        try:
            values = [*values, self._sign(statement, principal)]
            run = self._pool.run(statement.sent, values, principal.tenant)
            watch = CURRENT.get()
            row = await (run if watch is None else watch.statement(statement.name, run))
        except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable, TimeoutError) as error:
            raise UnavailableError(_SLOW) from error
        except psycopg.errors.InsufficientPrivilege as error:
            _log.critical("the database refused the tenant context", statement=statement.name, problem=str(error))
            raise WithheldError(_WITHHELD) from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise UnavailableError(_DOWN) from error
        except psycopg.Error as error:
            raise _failure(statement.name, error) from _CodeError(error.sqlstate)
        wanted = None if principal.tenant is None else principal.tenant.encode()
        if row is None or row[0] != wanted or row[1] is None:
            _log.critical("the database enforced another tenant than the token's", statement=statement.name)
            if statement.is_confirmed_by_rows:
                # Rows of another tenant came. Other tools, such as a summary, would not notice them.
                self.proved = False
                self.doubted.set()
            raise WithheldError(_WITHHELD)
        if not self.proved:
            # Another answer had rows of another tenant, while this one waited.
            raise UnavailableError(_DOWN)
        return statement.read(*row[1:])

    def _sign(self, statement: Statement[Any], principal: Principal) -> str:
        """Return the signed context for this one statement."""
        return self._keys[0].sign(
            person=(principal.issuer, principal.subject),
            tenant=principal.tenant or "",
            tier=principal.tier or "",
            expiry_s=int(time.time()) + CONTEXT_LIFETIME_S,
            digest=statement.digest,
            request=principal.request,
        )
