"""What is measured, by the names that stand in tables and pictures."""

from typing import Final

OURS: Final = "tenantgate"
RECORDED: Final = "tenantgate, recorded"
TOOLBOX: Final = "MCP Toolbox"
FASTMCP: Final = "FastMCP"
REMEMBERS: Final = "bare, remembers tokens"
VERIFIES: Final = "bare, verifies each call"
BEFORE: Final = "tenantgate, other checkout"
FLOOR: Final = "floor: C and libpq"
