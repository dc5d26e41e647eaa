"""MCP Toolbox with a fair configuration: a verified token per call, its tenant claim in a transaction-local setting."""

import json
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

CONNECTIONS: Final = 8
# One statement and one round trip: the setting is made before a row is read. The order is the column's, which has an
# index; without the table's name it would be that of the text beside it.
_STATEMENT: Final = (
    "WITH ctx AS MATERIALIZED (SELECT set_config('app.current_tenant_id', $1, true) AS t) "
    "SELECT c.* FROM ctx CROSS JOIN LATERAL (SELECT claim_number, customer_name, claim_amount::text AS claim_amount, "
    "status, line_of_business, filed_at::text AS filed_at, description FROM app.claims "
    "WHERE ctx.t IS NOT NULL ORDER BY claims.filed_at DESC, claims.id DESC LIMIT 20) c"
)


def write_configuration(file: Path, database_url: str, issuer: str, resource: str) -> None:
    """Write its configuration, one document for each thing; JSON is YAML too."""
    database = urlsplit(database_url)
    documents = [
        {
            "kind": "source",
            "name": "claims",
            "type": "postgres",
            "host": database.hostname,
            "port": str(database.port),
            "database": database.path.strip("/"),
            "user": database.username,
            "password": database.password,
            "queryParams": {"pool_max_conns": str(CONNECTIONS), "sslmode": "disable"},
        },
        {
            "kind": "authService",
            "name": "issuer",
            "type": "generic",
            "audience": resource,
            "authorizationServer": issuer,
            "mcpEnabled": True,
            "scopesRequired": ["claims:read"],
        },
        {
            "kind": "tool",
            "name": "query_claims",
            "type": "postgres-sql",
            "source": "claims",
            "description": "The claims of the caller's tenant, newest first.",
            "statement": _STATEMENT,
            "parameters": [
                {
                    "name": "tenant_id",
                    "type": "string",
                    "description": "The caller's tenant.",
                    "authServices": [{"name": "issuer", "field": "custom:tenant_id"}],
                }
            ],
        },
    ]
    file.touch(mode=0o600)
    file.write_text("\n---\n".join(json.dumps(document, indent=1) for document in documents))


def command(program: Path, configuration: Path) -> list[str]:
    """Return how it is started; the issuer has to answer by then."""
    options = ["--toolbox-url", "http://127.0.0.1:{port}", "--disable-version-check", "--log-level", "WARN"]
    return [str(program), "--config", str(configuration), "--port", "{port}", *options]
