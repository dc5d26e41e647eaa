"""The test build: the server as it runs in production, with the suite's fixtures beside our tools.

The suite sends no token, so each request that has none is given one before it reaches the gate.
"""

import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from fixture_documents import CatalogueWithFixtures, add_documents
from fixture_tools import LISTED, Context, call_fixture
from mcp_types import CallToolRequestParams, ListToolsResult
from starlette.types import ASGIApp, Receive, Scope, Send
from support.listening import bound, listening, stack_running

import server.app
import server.protocol.surface
from server.dev.sample import SAMPLE_DOCUMENTS
from server.dev.stack import development_stack
from server.http.outcome import VerifiedRequest
from server.protocol.calls import Call
from server.protocol.endpoint import Endpoint
from server.protocol.surface import Protocol
from server.settings import Settings

PERSON: Final = "sarah-platinum"
# Of the development stack.
KEPT: Final = ("issuers", "tenancy", "database", "documents", "catalog", "limits")


class ProtocolWithFixtures(Protocol):
    """Ours, and beside our tools those of the suite."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        add_documents(self.server)

    async def _list_tools(self, _context: Context, _params: object) -> ListToolsResult:
        ours = await super()._list_tools(_context, _params)
        return ours.model_copy(update={"tools": [*ours.tools, *LISTED]})

    async def _call_tool(self, context: Context, params: CallToolRequestParams) -> Any:
        return await call_fixture(context, params) or await super()._call_tool(context, params)


class EndpointWithFixtures(Endpoint):
    """Ours; a fixture's result is more than text, so a call of it goes the SDK's way."""

    def plain(self, request: VerifiedRequest, message: Any) -> Call | None:
        is_fixture = any(f'"{tool.name}"'.encode() in request.body for tool in LISTED)
        return None if is_fixture else super().plain(request, message)


class WithToken:
    """Adds a token to every request that brings none."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app: Final = app
        self._header: Final = (b"authorization", f"Bearer {token}".encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not any(name == b"authorization" for name, _ in scope["headers"]):
            scope = {**scope, "headers": [*scope["headers"], self._header]}
        await self._app(scope, receive, send)


@contextmanager
def test_build() -> Generator[str]:
    """Serve it, over a development stack of its own, and give its address."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o711)
        with development_stack(place, 0, SAMPLE_DOCUMENTS) as stack, stack_running(stack):
            listener, origin = bound()
            url = f"{origin}/mcp"
            known = {name: getattr(stack.settings, name) for name in KEPT}
            settings = Settings.model_validate({"resource_url": url, "allowed_origins": [origin], **known})
            server.app.Protocol = ProtocolWithFixtures
            server.protocol.surface.Catalogue = CatalogueWithFixtures
            server.app.Endpoint = EndpointWithFixtures
            token = stack.issuer.mint(PERSON, resource=url)
            app: Any = WithToken(server.app.create_app(settings), token)
            with listening(app, listener):
                yield url
