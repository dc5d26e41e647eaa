"""What `tenantgate dev` prepares before it serves: the database, its key, the settings, AWS's variables."""

import os
import secrets
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from server.administration.key_table import put_key
from server.administration.migrations import migrate
from server.audit.keys import SigningKey
from server.database.context_keys import ContextKey, new_context_key, parse_context_key
from server.dev.knowledge_base.service import KNOWLEDGE_BASE_ID
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.sample import SAMPLE_DOCUMENTS, TIERS, load_sample
from server.settings import SAMPLE, Settings


def prepare_database(postgres: EmbeddedPostgres, key: ContextKey, issuer_url: str) -> str:
    """Migrate, set the login's password, store the key, load the sample; return the login's URL."""
    migrate(postgres.admin_url, lambda _step: None, folders=[SAMPLE])
    password = secrets.token_urlsafe(24)
    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        connection.execute(sql.SQL("ALTER ROLE app_user PASSWORD {}").format(sql.Literal(password)))
        put_key(connection, key)
        load_sample(connection, issuer_url)
    return postgres.url("app_user", password)


def development_settings(mcp_url: str, issuer_url: str, database_url: str, key: ContextKey, **others: Any) -> Settings:
    """Return the settings that a production file would have for these parts; `others` are top-level keys."""
    return Settings.model_validate(
        {
            "resource_url": mcp_url,
            "issuers": [
                {
                    "issuer": issuer_url,
                    "audiences": [mcp_url],
                    "algorithms": ["RS256", "ES256"],
                    "token_type": "at+jwt",
                    "token_use": "access",
                }
            ],
            "database": {"url": database_url, "context_keys": [key.text()]},
            # Developers and tests of an agent send more requests than a person does.
            "limits": {"calls_per_minute_per_tenant": 0, "calls_per_minute_per_person": 0},
            **(others or sample_settings()),
        }
    )


def sample_settings() -> dict[str, Any]:
    """Return what the sample pack needs: its catalog, tiers and documents."""
    documents = {"knowledge_base_id": KNOWLEDGE_BASE_ID, "region": "us-east-1"} if SAMPLE_DOCUMENTS.is_dir() else None
    return {
        "catalog": [SAMPLE],
        "migrations": [SAMPLE],
        "tenancy": {"tenant_lookup": True, "tiers": TIERS},
        "documents": documents,
    }


def development_key(file: Path) -> ContextKey:
    """Return the key kept in `file`, made on first use."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(new_context_key("dev").text(), encoding="ascii")
    return parse_context_key(file.read_text(encoding="ascii"))


def development_signing_key(file: Path) -> str:
    """Return the key kept in `file` that signs the audit trail, made on first use."""
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(SigningKey(secrets.token_bytes(32)).text(), encoding="ascii")
    return file.read_text(encoding="ascii")


def point_aws_at(knowledge_base_url: str) -> None:
    """Set AWS's standard variables to the stand-in, with credentials that work nowhere else."""
    os.environ["AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME"] = knowledge_base_url
    os.environ["AWS_ACCESS_KEY_ID"] = os.environ["AWS_SECRET_ACCESS_KEY"] = "development"  # noqa: S105  # no secret
    os.environ.pop("AWS_PROFILE", None)
    os.environ.pop("AWS_SESSION_TOKEN", None)
