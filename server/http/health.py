"""Liveness and readiness for platforms, by GET or HEAD: no detail, no token."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.database.database import Database
from server.http.recorder import Recorder


def health_routes(database: Database, recorder: Recorder) -> list[Route]:
    """Return `/ping` and `/healthz` (the process lives), `/readyz` (all that an answer needs is there).

    Ready is a server whose database answers, whose isolation is proved and whose audit trail can be written.
    """

    async def alive(_request: Request) -> Response:
        return JSONResponse({"status": "Healthy"})

    async def ready(_request: Request) -> Response:
        if recorder.problem is not None:
            content = {"status": "Not ready", "reason": "The audit trail cannot be written."}
            return JSONResponse(content, status_code=503, headers={"retry-after": "5"})
        if await database.is_ready():
            return JSONResponse({"status": "Ready"})
        return JSONResponse({"status": "Not ready"}, status_code=503, headers={"retry-after": "5"})

    endpoints = {"/ping": alive, "/healthz": alive, "/readyz": ready}
    return [Route(path, endpoint, methods=["GET", "HEAD"]) for path, endpoint in endpoints.items()]
