"""FastMCP as its documentation shows it: a JWT verifier, a pool, a transaction that sets the tenant, rows as dicts.

`python fastmcp_server.py PORT DATABASE_URL ISSUER RESOURCE`, in an environment of its own (fastmcp.lock).
"""
# pyright: basic, reportMissingImports=false

import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from fastmcp import FastMCP
from fastmcp.server.auth.providers.jwt import JWTVerifier
from fastmcp.server.dependencies import get_access_token
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

port, database_url, issuer, resource = sys.argv[1:]
pool = AsyncConnectionPool(
    database_url, min_size=8, max_size=8, open=False, kwargs={"row_factory": dict_row, "prepare_threshold": 0}
)


@asynccontextmanager
async def lifespan(_server: Any) -> AsyncGenerator[None]:
    async with pool:
        yield


verifier = JWTVerifier(
    jwks_uri=f"{issuer}/.well-known/jwks.json", issuer=issuer, audience=resource, required_scopes=["claims:read"]
)
server = FastMCP("peer", auth=verifier, lifespan=lifespan)


@server.tool
async def query_claims(limit: int = 20) -> list[dict[str, Any]]:
    """The claims of the caller's tenant, newest first."""
    token = get_access_token()
    assert token is not None
    async with pool.connection() as connection, connection.transaction():
        await connection.execute(
            "SELECT set_config('app.current_tenant_id', %s, true)", [token.claims["custom:tenant_id"]]
        )
        cursor = await connection.execute(
            "SELECT claim_number, customer_name, claim_amount::text AS claim_amount, status, line_of_business, "
            "filed_at::text AS filed_at, description FROM app.claims "
            "ORDER BY claims.filed_at DESC, claims.id DESC LIMIT %s",
            [limit],
        )
        return await cursor.fetchall()


if __name__ == "__main__":
    server.run(
        transport="http",
        host="127.0.0.1",
        port=int(port),
        stateless_http=True,
        json_response=True,
        log_level="warning",
        show_banner=False,
    )
