"""The server beside its peers on one machine: MCP Toolbox, FastMCP, bare endpoints, and the floor in C."""
