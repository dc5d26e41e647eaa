"""Start the program that a client's configuration names, and list and call through it: python … < configuration."""

import asyncio
import json
import os
import sys

from mcp import Client
from mcp.client.stdio import StdioServerParameters, stdio_client


async def main() -> None:
    """Do what a desktop client does with an entry of `mcpServers`."""
    (entry,) = json.load(sys.stdin)["mcpServers"].values()
    program = StdioServerParameters(command=entry["command"], args=entry["args"], env=dict(os.environ))
    async with Client(stdio_client(program)) as client:
        await client.list_tools()
        await client.call_tool("query_claims", {})


asyncio.run(main())
