"""The least that could answer at all: Starlette, PyJWT, psycopg's pool and the server's own statement.

`python bare_endpoint.py PORT STATEMENT_FILE DATABASE_URL RESOURCE each|once`: a token is verified on each call, or
once and then remembered by its text until it expires. No protocol, no checks beside the token's, no limits, no log.
"""

import json
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jwt
import uvicorn
import uvloop
from psycopg import AsyncConnection, AsyncRawCursor
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from peers.statement import read_signed
from server.database.context_keys import parse_context_key

CONNECTIONS = 8


class Tokens:
    """Verifies RS256 tokens of one issuer for one resource."""

    def __init__(self, issuer: str, resource: str, *, remembers: bool) -> None:
        """Read the issuer's keys when the first token is there."""
        self._keys = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json", lifespan=3600)
        self._issuer, self._resource, self._remembers = issuer, resource, remembers
        self._known: dict[str, tuple[float, str]] = {}

    def tenant(self, token: str) -> str:
        """Return the tenant of a token; PyJWT's errors when it is not valid."""
        expiry, tenant = self._known.get(token, (0.0, ""))
        if expiry > time.time():
            return tenant
        key = self._keys.get_signing_key_from_jwt(token)
        claims = jwt.decode(token, key, algorithms=["RS256"], audience=self._resource, issuer=self._issuer)
        if self._remembers:
            self._known[token] = claims["exp"], claims["custom:tenant_id"]
        return claims["custom:tenant_id"]


def app(file: Path, database_url: str, resource: str, *, remembers: bool) -> Starlette:
    """Return one route that answers the rows as JSON."""
    signed = read_signed(file)
    key = parse_context_key(signed.key)
    tokens = Tokens(signed.issuer, resource, remembers=remembers)
    pool = AsyncConnectionPool[AsyncConnection[Any]](
        database_url,
        min_size=CONNECTIONS,
        max_size=CONNECTIONS,
        open=False,
        kwargs={"autocommit": True, "prepare_threshold": 0, "cursor_factory": AsyncRawCursor},
    )

    async def claims(request: Request) -> Response:
        tenant = tokens.tenant(request.headers["authorization"].removeprefix("Bearer "))
        values = [signed.first_value, signed.context(key, tenant)]
        async with pool.connection() as connection:
            cursor = await connection.execute(signed.text.encode(), values)
            row = await cursor.fetchone()
        assert row is not None
        assert row[0] == tenant
        return JSONResponse({"claims": json.loads(row[1])[: signed.first_value - 1]})

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        async with pool:
            yield

    return Starlette(routes=[Route("/claims", claims, methods=["POST"])], lifespan=lifespan)


if __name__ == "__main__":
    port, file, database_url, resource, how = sys.argv[1:]
    application = app(Path(file), database_url, resource, remembers=how == "once")
    configuration = uvicorn.Config(application, port=int(port), access_log=False, log_level="warning")
    uvloop.run(uvicorn.Server(configuration).serve())
