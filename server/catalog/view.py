"""What a view is: a page that a client with the MCP Apps extension shows in place of a tool's bare result.

Source: the extension `io.modelcontextprotocol/ui`, version 2026-01-26. The page holds no data: the client hands it the
result of the call, so a view is the same for everyone, and a client without the extension shows the result's text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any, Final

from mcp.server.apps import APP_MIME_TYPE
from mcp_types import ReadResourceResult, Resource, TextResourceContents

# What the page may reach: nothing. It is one file, and its data come by message (`_meta.ui.csp` of the extension).
_META: Final[dict[str, Any]] = {
    "ui": {
        "csp": {"connectDomains": [], "resourceDomains": [], "frameDomains": [], "baseUriDomains": []},
        "prefersBorder": True,
    }
}


@dataclass(frozen=True)
class View:
    """One page, whose text `page` returns."""

    name: str
    title: str
    description: str
    page: Callable[[], str]

    @property
    def uri(self) -> str:
        """The address that the tool's `_meta.ui.resourceUri` names."""
        return f"ui://tenantgate/{self.name}.html"

    @cached_property
    def described(self) -> Resource:
        """The entry of resources/list, computed once."""
        return Resource(
            uri=self.uri,
            name=self.name,
            title=self.title,
            description=self.description,
            mime_type=APP_MIME_TYPE,
            _meta=_META,
        )

    @cached_property
    def contents(self) -> ReadResourceResult:
        """The answer of resources/read, read from the file once."""
        text = self.page()
        page = TextResourceContents(uri=self.uri, mime_type=APP_MIME_TYPE, text=text, _meta=_META)
        return ReadResourceResult(contents=[page])


def chart(tool: str, title: str) -> View:
    """Return the view of a summary tool: its groups as a bar chart and a table."""
    return View(
        name=tool.replace("_", "-"),
        title=f"{title}: chart",
        description=f"The groups of {tool} as a bar chart and a table.",
        page=files("server.catalog").joinpath("summary_chart.html").read_text,
    )
