"""The whole wiring of the server, on one screen."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import Any

from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from server.audit.trail import AuditTrail
from server.auth.metadata import ResourceMetadata
from server.auth.scopes import check_scopes
from server.auth.verifier import TokenVerifier
from server.catalog.loading import Catalog, load_catalog
from server.catalog.offer import offered
from server.catalog.parts import Clock, Parts, utc_now
from server.doctor.proof import FirstProof, proving
from server.doctor.proving_documents import proving_documents
from server.http.address import endpoint_paths
from server.http.application import Application
from server.http.caching import NotStored
from server.http.garbage import frozen_garbage
from server.http.gate import Gate
from server.http.health import health_routes
from server.http.recorder import Recorder
from server.http.well_known import well_known_routes
from server.protocol.calls import ToolCalls
from server.protocol.endpoint import Endpoint
from server.protocol.lists import KeptLists
from server.protocol.sdk import SdkEndpoint
from server.protocol.surface import Protocol
from server.settings import Settings
from server.telemetry.readings import Watched
from server.telemetry.telemetry import Telemetry
from server.tenancy.context import Tenancy
from server.tenancy.registry import TenantDirectory
from server.workers.kept import Kept


def create_app(  # noqa: PLR0913, PLR0917  # the parts that a caller may bring
    settings: Settings,
    clock: Clock = utc_now,
    catalog: Catalog | None = None,
    first_proof: FirstProof | None = None,
    kept: Kept | None = None,
    new_recorder: Callable[[Settings, AuditTrail | None, Telemetry | None], Recorder] = Recorder,
) -> Starlette:
    """Return the ASGI application; connections are opened when it starts and closed when it stops.

    A process that has already read the `catalog` and proved isolation passes both, so that neither is done twice.
    `kept` outlives this application where another one may replace it; the caller closes it. `new_recorder` makes what
    records decisions. Raises SettingsError for a mistake in the settings or in the files of the catalog.
    """
    catalog = catalog or load_catalog(settings.catalog)
    check_scopes(settings, catalog.scopes)
    offer = offered(catalog, settings)
    once = kept or Kept.begun(settings)
    parts = Parts(settings, clock)
    directory = TenantDirectory(parts.database)
    tenancy = Tenancy(settings, directory)
    verifier = TokenVerifier(settings, offer.scopes, once.used_proofs)
    metadata = ResourceMetadata(settings, offer.scopes)
    calls = ToolCalls(offer.tools, settings, tenancy, parts, metadata)
    protocol = Protocol(offer, calls)
    # Plain JSON answers without sessions: every request carries its own identity, so any replica can answer it.
    sessions = StreamableHTTPSessionManager(
        protocol.server, json_response=True, stateless=True, max_request_body_size=settings.max_body_bytes
    )
    lists = KeptLists(SdkEndpoint(protocol.server, sessions.asgi_app))
    endpoint = Endpoint(calls, lists, tenancy, parts.limits, once.telemetry)
    recorder = new_recorder(settings, once.trail, once.telemetry)
    gate = Gate(endpoint, settings, verifier, metadata, parts.limits, recorder=recorder)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncGenerator[dict[str, Any]]:
        try:
            await parts.open()
            await verifier.replace(once.key_sets)
            async with (
                recorder.keeping(shared=kept is not None),
                proving(parts.database, settings, catalog, offer.bind, first_proof),
                proving_documents(parts.documents, settings),
                sessions.run(),
            ):
                once.key_sets = verifier.key_sets
                once.watched = Watched(parts, verifier, directory, lists, once.connections, gate.refusals, once.trail)
                # Before the first connection is accepted.
                async with once.shown(settings) if kept is None else nullcontext():
                    with frozen_garbage():
                        yield {"connections": once.connections}
        finally:
            await parts.close()
            await verifier.close()

    paths = endpoint_paths(settings.resource_url)
    app = Application(
        paths[0],
        gate,
        lifespan=lifespan,
        middleware=[Middleware(NotStored)],
        routes=[
            *(Route(path, gate) for path in paths),
            *well_known_routes(metadata),
            *health_routes(parts.database, recorder),
        ],
    )
    # A redirect to a URL built from Host would send a token to an address that the caller chooses.
    app.router.redirect_slashes = False
    return app
