"""The claims database: a signed tenant context and one read-only statement, in one round trip."""

import base64
import hashlib
import hmac
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import anyio
import psycopg
import structlog
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from server.errors import UnavailableError
from server.settings import DatabaseSettings

_CONTEXT_LIFETIME_S: Final = 60
_POOL_WAIT_S: Final = 1.5
_DOWN: Final = "The claims database is not available; nothing was read. Retry in a few seconds."
_SLOW: Final = "The claims database took too long; nothing was read. Retry, or narrow the filters."
_log: Final = structlog.get_logger("database")


class Statement:
    """A named query, wrapped once so that the signed context is set before any row is read.

    The placeholders of `sql` are `$1`, `$2`, …; the context takes the number after the last of them. The answer is
    one row: the tenant that the database enforced, and the rows as a JSON array.
    """

    def __init__(self, name: str, sql: LiteralString) -> None:
        """Wrap `sql` and compute what the signature binds to."""
        numbers = [int(number) for number in re.findall(r"\$(\d+)", sql)]
        self.name: Final = name
        context = f"${max(numbers, default=0) + 1}"
        self.text: Final = (
            f"WITH context AS MATERIALIZED (SELECT set_config('tenancy.context', {context}, true) AS c) "
            "SELECT answer.tenant, answer.rows FROM context CROSS JOIN LATERAL ("
            "SELECT (SELECT tenancy.current_tenant()) AS tenant, coalesce(json_agg(r)::text, '[]') AS rows "
            f"FROM ({sql}) AS r WHERE context.c IS NOT NULL) AS answer"
        )
        self.digest: Final = hashlib.sha256(self.text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Principal:
    """Whom a statement runs for; `tenant` is None only while the tenant is being looked up."""

    issuer: str
    subject: str
    tenant: str | None
    tier: str | None


class Database:
    """The pool of `app_user` connections; it signs every statement for one principal."""

    def __init__(self, settings: DatabaseSettings) -> None:
        """Prepare the pool; nothing is opened yet."""
        self._keys: Final = settings.signing_keys()
        # The server's own limit comes first; this one is for a server that no longer answers at all.
        self._deadline_s: Final = settings.statement_timeout_ms / 1000 + 1
        self._pool: Final = AsyncConnectionPool[AsyncConnection[Any]](
            settings.url.get_secret_value(),
            kwargs={
                "autocommit": True,
                "cursor_factory": AsyncRawCursor,
                "prepare_threshold": 0,
                "connect_timeout": 3,
                "options": f"-c statement_timeout={settings.statement_timeout_ms}",
                "application_name": "tenantgate",
            },
            min_size=min(2, settings.pool_size),
            max_size=settings.pool_size,
            timeout=_POOL_WAIT_S,
            configure=_warm,
            reconnect_timeout=float("inf"),
            open=False,
        )

    async def open(self) -> None:
        """Start connecting in the background; a database that is down now is reached when it is back."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection."""
        await self._pool.close(timeout=2)

    async def is_ready(self) -> bool:
        """Whether a statement can be run now."""
        try:
            async with self._pool.connection() as connection:
                await connection.execute("SELECT 1")
        except (psycopg.Error, PoolTimeout):
            return False
        return True

    async def fetch(self, statement: Statement, values: Sequence[object], principal: Principal) -> list[dict[str, Any]]:
        """Run `statement` for `principal` and return its rows.

        Raises UnavailableError when the database is down, busy or too slow.
        """
        parameters = [*values, self._sign(statement, principal)]
        try:
            with anyio.fail_after(self._deadline_s):
                row = await self._run(statement, parameters)
        except (psycopg.errors.QueryCanceled, TimeoutError) as error:
            raise UnavailableError(_SLOW) from error
        except (psycopg.Error, PoolTimeout) as error:
            raise UnavailableError(_DOWN) from error
        if row is None or row[0] != principal.tenant:
            _log.critical("the database enforced another tenant than the token's", statement=statement.name)
            raise UnavailableError(_DOWN)
        return json.loads(row[1])

    async def _run(self, statement: Statement, parameters: list[object]) -> tuple[Any, ...] | None:
        try:
            return await self._run_once(statement, parameters)
        except psycopg.OperationalError as error:
            if isinstance(error, psycopg.errors.QueryCanceled):
                raise
            # The pooled connection had died unseen (a failover, an idle cut). A read may be repeated; once.
            return await self._run_once(statement, parameters)

    async def _run_once(self, statement: Statement, parameters: list[object]) -> tuple[Any, ...] | None:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(statement.text.encode(), parameters, prepare=True)
            return await cursor.fetchone()

    def _sign(self, statement: Statement, principal: Principal) -> str:
        """Return the context that the database verifies; its form stands beside tenancy.verified_context()."""
        key = self._keys[0]
        person = base64.urlsafe_b64encode(f"{principal.issuer}\n{principal.subject}".encode()).decode().rstrip("=")
        expiry = int(time.time()) + _CONTEXT_LIFETIME_S
        body = f"v2|{key.kid}|{principal.tenant or ''}|{person}|{principal.tier or ''}|{expiry}|{statement.digest}"
        return f"{body}|{hmac.digest(key.secret, body.encode(), 'sha256').hex()}"


async def _warm(connection: AsyncConnection[Any]) -> None:
    """Compile the context function now: its first use on a connection costs milliseconds."""
    await connection.execute("SELECT tenancy.current_tenant()")


@dataclass(frozen=True, slots=True)
class TenantDatabase:
    """The database as one principal sees it; the only handle that a tool is given."""

    _database: Database
    _principal: Principal

    async def fetch(self, statement: Statement, *values: object) -> list[dict[str, Any]]:
        """Run `statement` and return its rows, as row level security lets this principal see them.

        Raises UnavailableError when the database is down, busy or too slow.
        """
        return await self._database.fetch(statement, values, self._principal)
