"""The MCP surface: what the server offers, and one call from its arguments to its result or its refusal."""

import json
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

import structlog
from mcp.server import Server
from mcp.server.apps import EXTENSION_ID
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    TextContent,
)

from server.catalog.arguments import quoted
from server.catalog.offer import Offer
from server.catalog.parts import Parts
from server.catalog.tool import Tool
from server.errors import ForbiddenError, LimitError, ScopeMissingError, ToolError
from server.exchange import Exchange
from server.protocol.catalogue import Catalogue
from server.settings import Settings
from server.tenancy.context import Tenancy

FORBIDDEN: Final = -32003
LIMITED: Final = -32004
_CONSTANT_METHODS: Final[tuple[CacheableMethod, ...]] = (
    "tools/list",
    "prompts/list",
    "resources/list",
    "resources/templates/list",
    "resources/read",
)
# Constant for the life of the process; private, because only a valid token may read them.
_CONSTANT: Final = CacheHint(ttl_ms=300_000, scope="private")
_log: Final = structlog.get_logger("protocol")


class Protocol:
    """The tool table behind the low-level MCP server; both protocol eras reach the same handlers."""

    def __init__(
        self,
        offer: Offer,
        settings: Settings,
        tenancy: Tenancy,
        resources: Parts,
    ) -> None:
        """Compute the constant answers once."""
        catalogue = Catalogue(offer.tools, offer.prompts)
        self._tools: Final = {tool.name: tool for tool in offer.tools}
        self._listed: Final = ListToolsResult(tools=[tool.described for tool in offer.tools])
        self._issuers: Final = {issuer.issuer: issuer for issuer in settings.issuers}
        self._tenancy: Final = tenancy
        self._resources: Final = resources
        self.server: Final = Server[Any](
            "tenantgate",
            version=version("tenantgate"),
            title="tenantgate",
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

    async def _list_tools(self, _context: ServerRequestContext[Any, Any], _params: object) -> ListToolsResult:
        return self._listed

    async def _call_tool(
        self, context: ServerRequestContext[Any, Any], params: CallToolRequestParams
    ) -> CallToolResult:
        """Answer a tools/call that came the SDK's way."""
        assert context.request is not None  # noqa: S101  # streamable HTTP alone is served
        answer = await self.call(params.name, params.arguments or {}, Exchange.of(context.request.scope))
        return CallToolResult(
            content=[TextContent(text=answer.text)],
            structured_content=None if answer.failed else json.loads(answer.text),
            is_error=answer.failed,
        )

    async def call(self, name: str, arguments: dict[str, Any], exchange: Exchange) -> "Answer":
        """Return a result, or a failure that the model can read; raise MCPError to refuse the caller."""
        tool = self._tools.get(name)
        if tool is None:
            known = ", ".join(self._tools)
            raise MCPError(code=INVALID_PARAMS, message=f"Unknown tool {quoted(name)}. There are: {known}.")
        exchange.record["tool"] = tool.name
        with exchange.cancellation:
            try:
                return await self._answer(tool, arguments, exchange)
            except ToolError as error:
                exchange.record["outcome"] = type(error).__name__
                exchange.record["cause"] = repr(error.__cause__) if error.__cause__ else None
                return Answer(str(error), failed=True)
            except (ForbiddenError, LimitError) as error:
                exchange.refusal = error
                exchange.record["outcome"] = type(error).__name__
                code = LIMITED if isinstance(error, LimitError) else FORBIDDEN
                raise MCPError(code=code, message=str(error)) from error
            except Exception as error:  # a defect of ours: its text is the operator's alone
                _log.exception("a tool failed", tool=tool.name)
                raise MCPError(code=INTERNAL_ERROR, message="Internal error; the operator has been told.") from error
        exchange.record["outcome"] = "cancelled"
        raise MCPError(code=INTERNAL_ERROR, message="The client left before the answer was ready.")

    async def _answer(self, tool: Tool, arguments: dict[str, Any], exchange: Exchange) -> "Answer":
        self._require_scope(tool, exchange)
        tenant = await self._tenancy.resolve(exchange.token, None)
        exchange.record |= {"tenant": tenant.tenant, "tier": tenant.tier}
        await self._resources.limits.count(tenant)
        result = await tool.answer(arguments, self._resources.for_tenant(tenant))
        exchange.record["outcome"] = "answered"
        return Answer(result)

    def _require_scope(self, tool: Tool, exchange: Exchange) -> None:
        if tool.scope is not None and tool.scope not in exchange.token.scopes:
            raise ScopeMissingError((self._issuers[exchange.token.issuer].names_of(tool.scope)[0],))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to: the JSON text of the tool's result, or, when it `failed`, a sentence for the model."""

    text: str
    failed: bool = False
