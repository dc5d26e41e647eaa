"""The catalog: declarations of tables and tools, compiled to SQL and to MCP tools."""
