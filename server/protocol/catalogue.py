"""What the server offers beside its tools, the same for every caller: prompts, and the views of its tools."""

from collections.abc import Sequence
from typing import Any, Final

from mcp.server.context import ServerRequestContext
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    GetPromptRequestParams,
    GetPromptResult,
    ListPromptsResult,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ReadResourceRequestParams,
    ReadResourceResult,
)

from server.catalog.arguments import listed, quoted
from server.catalog.prompt import DeclaredPrompt
from server.catalog.tool import Tool
from server.errors import ArgumentsError

_Context = ServerRequestContext[Any, Any]


class Catalogue:
    """The handlers of prompts/* and resources/*; they read no tenant's data, so a valid token is all they need."""

    def __init__(self, tools: Sequence[Tool], prompts: Sequence[DeclaredPrompt]) -> None:
        """Offer the views of `tools`, and the prompts."""
        views = [tool.view for tool in tools if tool.view is not None]
        self._prompts: Final = {prompt.name: prompt for prompt in prompts}
        self._views: Final = {view.uri: view.contents for view in views}
        self._prompts_listed: Final = ListPromptsResult(prompts=[one.described for one in self._prompts.values()])
        self._views_listed: Final = ListResourcesResult(resources=[view.described for view in views])

    async def list_prompts(self, _context: _Context, _params: object) -> ListPromptsResult:
        """Answer prompts/list."""
        return self._prompts_listed

    async def get_prompt(self, _context: _Context, params: GetPromptRequestParams) -> GetPromptResult:
        """Answer prompts/get; a wrong name or argument is refused with what is allowed."""
        prompt = self._prompts.get(params.name)
        if prompt is None:
            raise _unknown("prompt", params.name, self._prompts)
        try:
            return prompt.rendered(params.arguments or {})
        except ArgumentsError as error:
            raise MCPError(code=INVALID_PARAMS, message=str(error)) from None

    async def list_resources(self, _context: _Context, _params: object) -> ListResourcesResult:
        """Answer resources/list."""
        return self._views_listed

    async def list_templates(self, _context: _Context, _params: object) -> ListResourceTemplatesResult:
        """Answer resources/templates/list: there are none, and clients that ask would report a missing method."""
        return ListResourceTemplatesResult(resource_templates=[])

    async def read_resource(self, _context: _Context, params: ReadResourceRequestParams) -> ReadResourceResult:
        """Answer resources/read."""
        contents = self._views.get(params.uri)
        if contents is None:
            raise _unknown("resource", params.uri, self._views)
        return contents


def _unknown(kind: str, name: str, known: dict[str, Any]) -> MCPError:
    return MCPError(code=INVALID_PARAMS, message=f"Unknown {kind} {quoted(name)}. Use one of: {listed(known)}.")
