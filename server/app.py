"""The whole wiring of the server, on one screen."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.routing import Route

from server.audit.trail import AuditTrail
from server.auth.metadata import ResourceMetadata
from server.auth.verifier import TokenVerifier
from server.catalog.resources import Resources
from server.doctor.proof import proving
from server.http.address import endpoint_paths
from server.http.gate import Gate
from server.http.health import health_routes
from server.http.well_known import well_known_routes
from server.prompts import all_prompts
from server.protocol.calls import ToolCalls
from server.protocol.catalogue import Catalogue
from server.protocol.endpoint import Endpoint
from server.protocol.sdk import SdkEndpoint
from server.protocol.surface import Protocol
from server.settings import Settings
from server.tenancy.context import Tenancy
from server.tenancy.registry import TenantDirectory
from tools import all_tools


def create_app(settings: Settings) -> Starlette:
    """Return the ASGI application; connections are opened when it starts and closed when it stops."""
    trail = AuditTrail(settings.audit.path) if settings.audit.path else None
    resources = Resources(settings)
    tenancy = Tenancy(settings, TenantDirectory(resources.database))
    # Without a document store there is nothing to search: a tool that can only fail would mislead a model.
    tools = [tool for tool in all_tools() if tool.scope != "policies:read" or settings.documents]
    scopes = tuple(sorted({tool.scope for tool in tools if tool.scope}))
    verifier = TokenVerifier(settings, scopes)
    metadata = ResourceMetadata(settings, scopes)
    calls = ToolCalls(tools, settings, tenancy, resources, metadata)
    protocol = Protocol(tools, Catalogue(tools, all_prompts()), calls)
    # Plain JSON answers and no sessions: every request carries its own identity, any replica can answer it.
    sessions = StreamableHTTPSessionManager(
        protocol.server, json_response=True, stateless=True, max_request_body_size=settings.max_body_bytes
    )
    endpoint = Endpoint(calls, SdkEndpoint(protocol.server, sessions.asgi_app))
    gate = Gate(endpoint, settings, verifier, metadata, trail)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[None]:
        await resources.database.open()
        async with proving(resources.database, settings.database), sessions.run():
            yield
        await resources.close()
        await verifier.close()
        if trail:
            trail.close()

    app = Starlette(
        lifespan=lifespan,
        routes=[
            *(Route(path, gate) for path in endpoint_paths(settings.resource_url)),
            *well_known_routes(metadata),
            *health_routes(resources.database),
        ],
    )
    # A redirect to a URL built from Host would send a token wherever the caller says.
    app.router.redirect_slashes = False
    return app
