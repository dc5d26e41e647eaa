"""The protected-resource metadata (RFC 9728) over HTTP: public, the same for everyone, readable by any page."""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.auth.metadata import ResourceMetadata
from server.http.address import tenant_asked, with_tenants

_ANY_ORIGIN: Final = {"access-control-allow-origin": "*"}
_READABLE: Final = {**_ANY_ORIGIN, "cache-control": "public, max-age=300"}
# Clients in browsers send the protocol's version along, which a page must ask for first.
_PREFLIGHT: Final = {
    **_ANY_ORIGIN,
    "access-control-allow-methods": "GET",
    "access-control-allow-headers": "mcp-protocol-version",
    "access-control-max-age": "600",
}


def well_known_routes(metadata: ResourceMetadata) -> list[Route]:
    """Return the routes of the document of this resource, and of each tenant's address."""

    async def document(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=_PREFLIGHT)
        return JSONResponse(metadata.document_of(tenant_asked(request.scope)), headers=_READABLE)

    paths = [path for base in metadata.paths for path in with_tenants(base)]
    return [Route(path, document, methods=["GET", "HEAD", "OPTIONS"]) for path in paths]
