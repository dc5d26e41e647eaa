"""What is offered to the SDK's low-level server: tools, prompts and views, the same handlers for both protocol eras."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Final

from mcp.server import Server
from mcp.server.apps import EXTENSION_ID
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import ServerRequestContext
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.types import Scope

from server.catalog.offer import Offer
from server.http.outcome import Outcome, VerifiedRequest
from server.protocol.calls import SERVER, Call, ToolCalls
from server.protocol.catalogue import Catalogue

_CONSTANT_METHODS: Final[tuple[CacheableMethod, ...]] = (
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "resources/read",
)
# Constant for the life of the process; private, because only a valid token may read them.
_CONSTANT: Final = CacheHint(ttl_ms=300_000, scope="private")
_KEY: Final = "tenantgate.pending"


@dataclass(frozen=True, slots=True)
class Pending:
    """A request on its way through the SDK, where a tool call that it turns out to be leaves its Outcome."""

    request: VerifiedRequest
    called: "asyncio.Future[Outcome]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    def attached(self, scope: Scope) -> Scope:
        """Return a copy of an ASGI scope that carries this request."""
        return {**scope, _KEY: self}


class Protocol:
    """The handlers behind the SDK's server; what is listed is computed once."""

    def __init__(self, offer: Offer, calls: ToolCalls) -> None:
        """List what `offer` has; call tools by `calls`."""
        catalogue = Catalogue(offer.tools, offer.prompts)
        self._listed: Final = ListToolsResult(tools=[tool.described for tool in offer.tools])
        self._calls: Final = calls
        self.server: Final = Server[Any](
            SERVER.name,
            version=SERVER.version,
            title=SERVER.title,
            instructions=offer.instructions,
            cache_hints=dict.fromkeys(_CONSTANT_METHODS, _CONSTANT),
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_prompts=catalogue.list_prompts,
            on_get_prompt=catalogue.get_prompt,
            on_list_resources=catalogue.list_resources,
            on_list_resource_templates=catalogue.list_templates,
            on_read_resource=catalogue.read_resource,
        )
        self.server.extensions[EXTENSION_ID] = {}
        # The SDK's own spans hold the text of exceptions; server/telemetry makes those of this server.
        self.server.middleware.clear()

    async def _list_tools(self, _context: ServerRequestContext[Any, Any], _params: object) -> ListToolsResult:
        return self._listed

    async def _call_tool(
        self, context: ServerRequestContext[Any, Any], params: CallToolRequestParams
    ) -> CallToolResult:
        """Call a tool; its Outcome is the answer, so what the SDK makes of this result is never sent."""
        assert context.request is not None  # noqa: S101  # streamable HTTP alone is served
        assert context.request_id is not None  # noqa: S101  # a notification calls nothing
        pending: Pending = context.request.scope[_KEY]
        modern = context.protocol_version in MODERN_PROTOCOL_VERSIONS
        call = Call(context.request_id, params.name, params.arguments or {}, modern)
        pending.called.set_result(await self._calls(call, pending.request))
        return CallToolResult(content=[])
