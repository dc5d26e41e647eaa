"""The MCP surface: tools, prompts and views, in both protocol eras."""
