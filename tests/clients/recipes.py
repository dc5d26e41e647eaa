"""The recipes of docs/clients.md that run without a sign-in, and how to run each exactly as it stands there."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

HERE: Final = Path(__file__).parent
DOCUMENT: Final = HERE.parents[1] / "docs" / "clients.md"
ADDRESS: Final = "http://127.0.0.1:8000/mcp"
HANDSHAKE: Final = "2025-11-25"
MODERN: Final = "2026-07-28"
_BLOCK: Final = re.compile(
    r"^<!-- run by make clients ARGS=([\w-]+) -->\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)
Language = Literal["sh", "js", "json", "python"]
# Clients that want other versions than this project has; each list is installed in an environment of its own.
ENVIRONMENTS: Final = {
    "fastmcp": ("fastmcp==4.1.2",),
    "mcp-1": ("mcp==1.30.0", "langchain-mcp-adapters==0.3.2"),
}


@dataclass(frozen=True, slots=True)
class Recipe:
    """One block of the document: the package that it shows, the version it must speak, where its packages are."""

    client: str
    package: str
    speaks: str
    environment: str | None = None


RECIPES: Final = (
    Recipe("inspector", "@modelcontextprotocol/inspector", MODERN),
    Recipe("mcp-remote", "mcp-remote", MODERN),
    Recipe("strands", "strands-agents", MODERN),
    Recipe("langchain", "langchain-mcp-adapters", HANDSHAKE, "mcp-1"),
    Recipe("typescript-client", "@modelcontextprotocol/client", MODERN),
    Recipe("typescript-sdk", "@modelcontextprotocol/sdk", HANDSHAKE),
    Recipe("fastmcp", "fastmcp", MODERN, "fastmcp"),
    Recipe("python-sdk-2", "mcp", MODERN),
    Recipe("python-sdk-1", "mcp", HANDSHAKE, "mcp-1"),
)


def blocks() -> dict[str, tuple[str, str]]:
    """Return the language and the text of each block that names a client."""
    found = _BLOCK.findall(DOCUMENT.read_text(encoding="utf-8"))
    return {client: (language, text) for client, language, text in found}
