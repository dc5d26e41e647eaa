"""How an administrator changes the registry: tenants, which are never deleted, and the people mapped to them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, LiteralString

import psycopg
from psycopg.rows import class_row

from server.errors import StartupError

_LIST: Final[LiteralString] = """
SELECT t.tenant_id AS tenant, t.name, t.active, count(u.user_sub) AS people
FROM tenancy.tenants t LEFT JOIN tenancy.user_tenants u USING (tenant_id) GROUP BY t.tenant_id ORDER BY t.tenant_id
"""
_ADD: Final[LiteralString] = """
INSERT INTO tenancy.tenants (tenant_id, name) SELECT * FROM unnest(%s::text[], %s::text[]) ON CONFLICT DO NOTHING
"""
_RENAME: Final[LiteralString] = """
UPDATE tenancy.tenants t SET name = c.name FROM unnest(%s::text[], %s::text[]) AS c (tenant_id, name)
WHERE t.tenant_id = c.tenant_id AND t.name <> c.name
"""
_SET_ACTIVE: Final[LiteralString] = """
UPDATE tenancy.tenants SET active = %s WHERE tenant_id = ANY (%s) AND active <> %s
"""
_MAP: Final[LiteralString] = """
INSERT INTO tenancy.user_tenants (issuer, user_sub, tenant_id) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING
"""
_UNMAP: Final[LiteralString] = """
DELETE FROM tenancy.user_tenants WHERE issuer = %s AND user_sub = %s AND tenant_id = %s
"""
_Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class StoredTenant:
    """One tenant of the registry, and how many people are mapped to it."""

    tenant: str
    name: str
    active: bool
    people: int


def stored_tenants(connection: _Connection) -> list[StoredTenant]:
    """Return every tenant, in the order of their ids."""
    return connection.cursor(row_factory=class_row(StoredTenant)).execute(_LIST).fetchall()


def add_tenant(connection: _Connection, tenant: str, name: str | None) -> Literal["added", "renamed", "already there"]:
    """Add a tenant, or rename an existing one; raise StartupError for an existing one that is not active."""
    with connection.transaction():
        if insert_tenants(connection, {tenant: name or tenant}):
            return "added"
        if not _is_active(connection, tenant):
            raise StartupError(
                f"the tenant {tenant} exists but is not active; run `tenantgate tenants activate {tenant}`"
            )
        return "renamed" if name and rename_tenants(connection, {tenant: name}) else "already there"


def switch_tenant(connection: _Connection, tenant: str, *, active: bool) -> bool:
    """Activate or deactivate a tenant, and return whether it changed; raise StartupError for an unknown tenant."""
    with connection.transaction():
        _is_active(connection, tenant)
        return set_active(connection, [tenant], active=active) == 1


def map_person(connection: _Connection, issuer: str, subject: str, tenant: str) -> bool:
    """Map a person to a tenant, and return whether that is new; raise StartupError for an unknown tenant."""
    try:
        return connection.execute(_MAP, (issuer, subject, tenant)).rowcount == 1
    except psycopg.errors.ForeignKeyViolation:
        raise StartupError(_unknown(tenant)) from None


def unmap_person(connection: _Connection, issuer: str, subject: str, tenant: str) -> bool:
    """Delete a mapping, and return whether it existed."""
    return connection.execute(_UNMAP, (issuer, subject, tenant)).rowcount == 1


def insert_tenants(connection: _Connection, names: Mapping[str, str]) -> int:
    """Add active tenants, given their names by id; return how many are new."""
    return connection.execute(_ADD, (list(names), list(names.values()))).rowcount


def rename_tenants(connection: _Connection, names: Mapping[str, str]) -> int:
    """Set the names, given by id; return how many changed."""
    return connection.execute(_RENAME, (list(names), list(names.values()))).rowcount


def set_active(connection: _Connection, tenants: list[str], *, active: bool) -> int:
    """Activate or deactivate tenants; return how many changed."""
    return connection.execute(_SET_ACTIVE, (active, tenants, active)).rowcount


def _is_active(connection: _Connection, tenant: str) -> bool:
    row = connection.execute("SELECT active FROM tenancy.tenants WHERE tenant_id = %s", (tenant,)).fetchone()
    if row is None:
        raise StartupError(_unknown(tenant))
    return row[0]


def _unknown(tenant: str) -> str:
    return f"the tenant {tenant} does not exist; see `tenantgate tenants list`, or add it with `tenantgate tenants add`"
