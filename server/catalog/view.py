"""A view: a page that a client with the MCP Apps extension shows instead of a tool's plain result.

Source: the extension `io.modelcontextprotocol/ui`, version 2026-01-26. The page contains no data: the client passes the
result of the call to it. So a view is the same for everyone, and other clients show the text of the result.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from html import escape
from importlib.resources import files
from typing import Any, Final

from mcp_types import ReadResourceResult, Resource, TextResourceContents

# MCP Apps, 2026-01-26; the SDK has this constant too, but loading its module takes as long as this whole package.
_MIME_TYPE: Final = "text/html;profile=mcp-app"
# The page may load nothing: it is one file, and receives its data by message (`_meta.ui.csp` of the extension).
_META: Final[dict[str, Any]] = {
    "ui": {
        "csp": {"connectDomains": [], "resourceDomains": [], "frameDomains": [], "baseUriDomains": []},
        "prefersBorder": True,
    }
}


@dataclass(frozen=True)
class View:
    """One page; `page` returns its text, and `name` is a part of its URI."""

    name: str
    title: str
    description: str
    page: Callable[[], str]

    @property
    def uri(self) -> str:
        """The URI in the tool's `_meta.ui.resourceUri`."""
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
        """The result of resources/read, built once."""
        text = self.page()
        page = TextResourceContents(uri=self.uri, mime_type=_MIME_TYPE, text=text, _meta=_META)
        return ReadResourceResult(contents=[page])


def chart(tool: str, title: str) -> View:
    """Return the view of a summary tool: its groups as a bar chart and a table, under the tool's title."""
    # A hyphen becomes a dot, so that `a_b` and `a-b` have different URIs.
    return View(
        name=tool.replace("-", ".").replace("_", "-"),
        title=f"{title}: chart",
        description=f"The groups of {tool} as a bar chart and a table.",
        page=partial(_chart_page, title),
    )


def _chart_page(title: str) -> str:
    """Return the page for summary tools with this title; the title is only outside of style and script."""
    page = files("server.catalog").joinpath("summary_chart.html").read_text(encoding="utf-8")
    return page.replace("{{title}}", escape(title))
