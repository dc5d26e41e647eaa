"""Liveness and readiness for platforms, by GET or HEAD: no detail, no token."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.database.database import Database


def health_routes(database: Database) -> list[Route]:
    """Return `/ping` and `/healthz` (the process lives), `/readyz` (the database answers, isolation is proved)."""

    async def alive(_request: Request) -> Response:
        return JSONResponse({"status": "Healthy"})

    async def ready(_request: Request) -> Response:
        if await database.is_ready():
            return JSONResponse({"status": "Ready"})
        return JSONResponse({"status": "Not ready"}, status_code=503, headers={"retry-after": "5"})

    endpoints = {"/ping": alive, "/healthz": alive, "/readyz": ready}
    return [Route(path, endpoint, methods=["GET", "HEAD"]) for path, endpoint in endpoints.items()]
