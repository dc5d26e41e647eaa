"""What a view is: a page that a client with the MCP Apps extension shows in place of a tool's bare result.

Source: the extension `io.modelcontextprotocol/ui`, version 2026-01-26. The page holds no data: the client hands it the
result of the call, so a view is the same for everyone, and a client without the extension shows the result's text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from html import escape
from importlib.resources import files
from typing import Any, Final

from mcp_types import ReadResourceResult, Resource, TextResourceContents

# What the page may reach: nothing. It is one file, and its data come by message (`_meta.ui.csp` of the extension).
# MCP Apps, 2026-01-26; the SDK has it too, in a module that takes as long to load as all of this package.
_MIME_TYPE: Final = "text/html;profile=mcp-app"
_META: Final[dict[str, Any]] = {
    "ui": {
        "csp": {"connectDomains": [], "resourceDomains": [], "frameDomains": [], "baseUriDomains": []},
        "prefersBorder": True,
    }
}


@dataclass(frozen=True)
class View:
    """One page, whose text `page` returns; `name` is its part of the address."""

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
            mime_type=_MIME_TYPE,
            _meta=_META,
        )

    @cached_property
    def contents(self) -> ReadResourceResult:
        """The answer of resources/read, read once."""
        text = self.page()
        page = TextResourceContents(uri=self.uri, mime_type=_MIME_TYPE, text=text, _meta=_META)
        return ReadResourceResult(contents=[page])


def chart(tool: str, title: str) -> View:
    """Return the view of a summary tool: its groups as a bar chart and a table, under the tool's title."""
    # A hyphen becomes a dot, so that `a_b` and `a-b` do not share an address.
    return View(
        name=tool.replace("-", ".").replace("_", "-"),
        title=f"{title}: chart",
        description=f"The groups of {tool} as a bar chart and a table.",
        page=partial(_chart_page, title),
    )


def _chart_page(title: str) -> str:
    """Return the page of every summary tool with the title of one: only text outside of style and script differs."""
    page = files("server.catalog").joinpath("summary_chart.html").read_text(encoding="utf-8")
    return page.replace("{{title}}", escape(title))
