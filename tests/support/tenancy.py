"""Resolves made-up verified tokens on the stack's own database, without HTTP: what a tenant's address leads to."""

import asyncio
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from server.auth.access_token import AccessToken
from server.database.database import Database
from server.dev.stack import Stack
from server.errors import TenancyError
from server.settings import Settings
from server.tenancy.context import Tenancy, TenantContext
from server.tenancy.registry import TenantDirectory
from support.logs import own_logs

ISSUER = "https://id.test"
RESOURCE = "https://mcp.test/mcp"


def access_token(subject: str = "somebody", **claims: Any) -> AccessToken:
    return AccessToken(ISSUER, subject, None, frozenset(), 2**40, {"iss": ISSUER, "sub": subject, **claims})


def settings_with(stack: Stack, *paths: str, **tenancy: Any) -> Settings:
    issuer = {"issuer": ISSUER, "audiences": ["x"], "tenant_claims": paths or ("tenant_id",), "tier_claim": "groups"}
    return Settings.model_validate(
        {
            "resource_url": RESOURCE,
            "issuers": [issuer],
            "tenancy": {"tiers": ["regular", "platinum"], **tenancy},
            "database": stack.settings.database,
        }
    )


@dataclass(frozen=True)
class Resolver:
    """A tenancy of its own over the real registry."""

    tenancy: Tenancy
    directory: TenantDirectory
    runner: asyncio.Runner

    def context(self, token: AccessToken, asked: str | None = None, *, required: bool = True) -> TenantContext:
        return self.runner.run(self.tenancy.resolve(token, asked, required=required))

    def tenant(self, token: AccessToken, asked: str | None = None, *, required: bool = True) -> str | None:
        return self.context(token, asked, required=required).tenant

    def refusal(self, token: AccessToken, asked: str | None = None, *, required: bool = True) -> tuple[str, Any]:
        """Return what the caller reads, and the one line of the log."""
        with own_logs() as lines:
            try:
                context = self.context(token, asked, required=required)
            except TenancyError as error:
                (line,) = lines
                return str(error), line
        raise AssertionError(f"not refused, but {context.tenant}")


@contextmanager
def resolver(stack: Stack, *paths: str, reachable: bool = True, **tenancy: Any) -> Generator[Resolver]:
    """Resolve with these claim paths and `[tenancy]` settings; `reachable=False`: every look-up fails."""
    settings = settings_with(stack, *paths, **tenancy)
    database = Database(settings.database)
    database.proved = reachable
    directory = TenantDirectory(database)
    with asyncio.Runner() as runner:
        runner.run(database.open())
        try:
            yield Resolver(Tenancy(settings, directory), directory, runner)
        finally:
            runner.run(database.close())


@contextmanager
def registry(admin: psycopg.Connection[Any], *mappings: tuple[str, str], **tenants: bool) -> Generator[None]:
    """Have these tenants (id to whether it is active), and map these people (subject, tenant)."""
    with tenants_of(admin, tenants.items()):
        for subject, tenant in mappings:
            admin.execute("INSERT INTO tenancy.user_tenants VALUES (%s, %s, %s)", (ISSUER, subject, tenant))
        try:
            yield
        finally:
            admin.execute("DELETE FROM tenancy.user_tenants WHERE issuer = %s", (ISSUER,))


@contextmanager
def tenants_of(admin: psycopg.Connection[Any], tenants: Iterable[tuple[str, bool]]) -> Generator[None]:
    """Have these tenants, whatever characters their ids hold."""
    ids = dict(tenants)
    for tenant, active in ids.items():
        admin.execute("INSERT INTO tenancy.tenants VALUES (%s, %s, %s)", (tenant, tenant, active))
    try:
        yield
    finally:
        admin.execute("DELETE FROM tenancy.user_tenants WHERE tenant_id = ANY (%s)", (list(ids),))
        admin.execute("DELETE FROM tenancy.tenants WHERE tenant_id = ANY (%s)", (list(ids),))
