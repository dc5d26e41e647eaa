"""The MCP surface: which tools there are, and one call from its arguments to its result or its refusal."""

import json
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final

import structlog
from mcp.server import Server
from mcp.server.caching import CacheHint
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
from pydantic import BaseModel, ValidationError

from server.errors import ArgumentsError, ForbiddenError, ScopeMissingError, ToolError
from server.exchange import Exchange
from server.resources import Resources
from server.settings import Settings
from server.tenancy import Tenancy
from server.tool import Tool

FORBIDDEN: Final = -32003
INSTRUCTIONS: Final = (
    "Answers questions about insurance claims and policy documents for the signed-in person's own tenant and tier. "
    "Use summarize_claims for counts and sums, query_claims for single claims, search_policies for what a policy says, "
    "whoami for who is asking. The tenant comes from the sign-in and cannot be chosen: no argument names it."
)
_TOOLS_FRESH_MS: Final = 300_000
_ECHOED_CHARACTERS: Final = 64
_log: Final = structlog.get_logger("protocol")


class Protocol:
    """The tool table behind the low-level MCP server; both protocol eras reach the same handlers."""

    def __init__(
        self, tools: Sequence[Tool[Any, Any]], settings: Settings, tenancy: Tenancy, resources: Resources
    ) -> None:
        """Compute the constant answers once."""
        self._tools: Final = {tool.name: tool for tool in tools}
        self._listed: Final = ListToolsResult(tools=[tool.described for tool in tools])
        self._issuers: Final = {issuer.issuer: issuer for issuer in settings.issuers}
        self._tenancy: Final = tenancy
        self._resources: Final = resources
        self.server: Final = Server[Any](
            "tenantgate",
            version=version("tenantgate"),
            title="tenantgate",
            instructions=INSTRUCTIONS,
            cache_hints={"tools/list": CacheHint(ttl_ms=_TOOLS_FRESH_MS, scope="private")},
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
        )

    async def _list_tools(self, _context: ServerRequestContext[Any, Any], _params: object) -> ListToolsResult:
        return self._listed

    async def _call_tool(
        self, context: ServerRequestContext[Any, Any], params: CallToolRequestParams
    ) -> CallToolResult:
        """Answer one tools/call: a result, a failure that the model can read, or a refusal of the caller."""
        assert context.request is not None  # noqa: S101  # streamable HTTP alone is served
        exchange = Exchange.of(context.request.scope)
        tool = self._tools.get(params.name)
        if tool is None:
            known = ", ".join(self._tools)
            raise MCPError(code=INVALID_PARAMS, message=f"Unknown tool {_quoted(params.name)}. There are: {known}.")
        exchange.record["tool"] = tool.name
        with exchange.cancellation:
            try:
                return await self._answer(tool, params.arguments or {}, exchange)
            except ToolError as error:
                exchange.record["outcome"] = type(error).__name__
                exchange.record["cause"] = repr(error.__cause__) if error.__cause__ else None
                return _failure(error)
            except ForbiddenError as error:
                exchange.refusal = error
                exchange.record["outcome"] = type(error).__name__
                raise MCPError(code=FORBIDDEN, message=str(error)) from error
            except Exception as error:  # a defect of ours: its text is the operator's alone
                _log.exception("a tool failed", tool=tool.name)
                raise MCPError(code=INTERNAL_ERROR, message="Internal error; the operator has been told.") from error
        exchange.record["outcome"] = "cancelled"
        raise MCPError(code=INTERNAL_ERROR, message="The client left before the answer was ready.")

    async def _answer(self, tool: Tool[Any, Any], arguments: dict[str, Any], exchange: Exchange) -> CallToolResult:
        self._require_scope(tool, exchange)
        tenant = await self._tenancy.resolve(exchange.token)
        exchange.record |= {"tenant": tenant.tenant, "tier": tenant.tier}
        parsed = parse(tool.arguments, arguments)
        result = await tool.call(parsed, self._resources.for_tenant(tenant))
        exchange.record["outcome"] = "answered"
        return _success(result)

    def _require_scope(self, tool: Tool[Any, Any], exchange: Exchange) -> None:
        if tool.scope is not None and tool.scope not in exchange.token.scopes:
            raise ScopeMissingError((self._issuers[exchange.token.issuer].names_of(tool.scope)[0],))


def parse(model: type[BaseModel], arguments: dict[str, Any]) -> Any:
    """Return the arguments as the tool's model; raise ArgumentsError that names each wrong one, never its value."""
    try:
        # From JSON and strictly: "5" is not 5, 1 is not true, but an ISO date is a date.
        return model.model_validate_json(json.dumps(arguments), strict=True)
    except ValidationError as error:
        raise ArgumentsError(_explained(model, error)) from None


def _explained(model: type[BaseModel], error: ValidationError) -> str:
    sentences: list[str] = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        name = str(problem["loc"][0]) if problem["loc"] else "arguments"
        if problem["type"] == "extra_forbidden":
            sentences.append(f"unknown argument {_quoted(name)}")
        else:
            sentences.append(f"{name}: {problem['msg'].removeprefix('Value error, ')}")
    allowed = ", ".join(model.model_fields) or "none"
    return f"The arguments were refused and nothing was read: {'; '.join(sentences)}. Allowed arguments: {allowed}."


def _quoted(name: str) -> str:
    """Return a caller's own word, short and printable, so that it cannot forge a line."""
    return ascii(name[:_ECHOED_CHARACTERS])


def _success(result: BaseModel) -> CallToolResult:
    text = result.model_dump_json()
    return CallToolResult(content=[TextContent(text=text)], structured_content=json.loads(text))


def _failure(error: ToolError) -> CallToolResult:
    return CallToolResult(content=[TextContent(text=str(error))], is_error=True)
