"""The names from OpenTelemetry's conventions for spans, attributes and metrics; no other module spells them.

Sources: MCP and GenAI, the repository semantic-conventions-genai (status Development, November 2026); databases,
semantic-conventions 1.42 (stable); pools, the same (Development). These parts of the conventions are left out on
purpose: arguments and results of tools, the text of queries, the question of a retrieval and its documents,
sessions, and the client's address.
"""

from typing import Final

# MCP: docs/mcp/mcp.md.
MCP_METHOD: Final = "mcp.method.name"
MCP_VERSION: Final = "mcp.protocol.version"
JSONRPC_ID: Final = "jsonrpc.request.id"
RPC_STATUS: Final = "rpc.response.status_code"
SERVER_DURATION: Final = "mcp.server.operation.duration"
# The value of error.type for a result with isError.
TOOL_ERROR: Final = "tool_error"

# GenAI: docs/gen-ai/gen-ai-spans.md.
TOOL: Final = "gen_ai.tool.name"
OPERATION: Final = "gen_ai.operation.name"
EXECUTE_TOOL: Final = "execute_tool"
RETRIEVAL: Final = "retrieval"
PROVIDER: Final = "gen_ai.provider.name"
BEDROCK: Final = "aws.bedrock"
DATA_SOURCE: Final = "gen_ai.data_source.id"
GEN_AI_DURATION: Final = "gen_ai.client.operation.duration"

# Databases: docs/db/database-spans.md, docs/db/postgresql.md, docs/db/database-metrics.md.
DB_SYSTEM: Final = "db.system.name"
POSTGRESQL: Final = "postgresql"
DB_NAMESPACE: Final = "db.namespace"
DB_OPERATION: Final = "db.operation.name"
DB_SUMMARY: Final = "db.query.summary"
DB_STATUS: Final = "db.response.status_code"
DB_DURATION: Final = "db.client.operation.duration"
POOL_COUNT: Final = "db.client.connection.count"
POOL_MAXIMUM: Final = "db.client.connection.max"
POOL_PENDING: Final = "db.client.connection.pending_requests"
POOL_TIMEOUTS: Final = "db.client.connection.timeouts"
POOL_STATE: Final = "db.client.connection.state"

# General attributes (stable).
ERROR_TYPE: Final = "error.type"
HTTP_STATUS: Final = "http.response.status_code"
TRANSPORT: Final = "network.transport"
PROTOCOL: Final = "network.protocol.name"
PROTOCOL_VERSION: Final = "network.protocol.version"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"

# Processes: docs/system/process-metrics.md.
PROCESS_CPU: Final = "process.cpu.time"
PROCESS_MEMORY: Final = "process.memory.usage"
PROCESS_FILES: Final = "process.unix.file_descriptor.count"

# Our own.
REQUEST_ID: Final = "tenantgate.request.id"
TENANT: Final = "tenant"
