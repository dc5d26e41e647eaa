"""Who can reach a relation now: privileges, policies and partitions from pg_catalog, which any role may read."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

_OID: Final[LiteralString] = """
SELECT c.oid::bigint FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname || '.' || c.relname = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""
_PARTS: Final[LiteralString] = """
WITH RECURSIVE part (oid) AS (
  SELECT inhrelid FROM pg_catalog.pg_inherits WHERE inhparent = $1::oid
  UNION
  SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN part ON i.inhparent = part.oid
)
SELECT c.oid::bigint, n.nspname, c.relname
FROM part JOIN pg_catalog.pg_class c ON c.oid = part.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
ORDER BY 2, 3
"""
_TO_PUBLIC: Final[LiteralString] = """
SELECT privilege, array_agg(name ORDER BY number) FILTER (WHERE name IS NOT NULL)
FROM (
  SELECT x.privilege_type, NULL::text, 0
  FROM pg_catalog.pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) x WHERE c.oid = $1::oid AND x.grantee = 0
  UNION ALL
  SELECT x.privilege_type, a.attname::text, a.attnum
  FROM pg_catalog.pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) x
  WHERE a.attrelid = $1::oid AND NOT a.attisdropped AND x.grantee = 0
) AS granted (privilege, name, number)
GROUP BY privilege, name IS NULL ORDER BY 1
"""
# Whether a role `r` with a privilege on the relation `t` can use it. A view's owner can, even without USAGE.
_REACHES: Final[LiteralString] = """(has_schema_privilege(r.oid, t.relnamespace, 'USAGE') OR EXISTS (
    SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid
    JOIN pg_catalog.pg_class v ON v.oid = w.ev_class
    WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
      AND v.oid <> t.oid AND v.relowner = r.oid))"""
# Policies do not apply to superusers, nor to the table's owner and its members unless the table has FORCE. Attributes
# such as BYPASSRLS are not inherited: a group that has it may have members that do not.
_USERS: Final[LiteralString] = f"""
WITH held (grantee, privilege) AS (
  SELECT x.grantee, x.privilege_type
  FROM pg_catalog.pg_class c CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) x
  WHERE c.oid = $1::oid
  UNION
  SELECT x.grantee, x.privilege_type
  FROM pg_catalog.pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) x
  WHERE a.attrelid = $1::oid AND NOT a.attisdropped
), role AS (
  SELECT r.oid, r.rolname, r.rolbypassrls, r.rolname ~ '^pg_' AS predefined,
         EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE m.roleid = r.oid) AS is_group,
         {_REACHES} AS reaches
  FROM pg_catalog.pg_roles r, pg_catalog.pg_class t
  WHERE t.oid = $1::oid AND NOT r.rolsuper AND r.rolname <> ALL ($2::text[]) AND r.rolname <> 'tenancy_owner'
    AND (t.relforcerowsecurity OR NOT pg_has_role(r.oid, t.relowner, 'USAGE'))
), found AS (
  SELECT role.*,
         EXISTS (SELECT FROM held WHERE grantee = role.oid
                 AND privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')) AS by_grant,
         reaches AND NOT predefined AND EXISTS (SELECT FROM held WHERE grantee = 0) AS by_public,
         reaches AND NOT predefined AND EXISTS (SELECT FROM held WHERE grantee = 0
                 AND privilege IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')) AS rows_by_public
  FROM role
)
SELECT rolname::text, by_grant OR by_public, by_public,
       (NOT rolbypassrls OR is_group)
       AND (by_grant OR rows_by_public OR rolname IN ('pg_read_all_data', 'pg_write_all_data') AND is_group)
FROM found ORDER BY 1
"""
_POLICIES: Final[LiteralString] = """
SELECT p.polname::text, p.polpermissive,
       CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
                     ELSE 'ALL' END,
       ARRAY(SELECT CASE one WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(one)::text END FROM unnest(p.polroles) AS one),
       coalesce(pg_get_expr(p.polqual, p.polrelid), ''), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
FROM pg_catalog.pg_policy p WHERE p.polrelid = $1::oid ORDER BY 1
"""
_DEFAULTS: Final[LiteralString] = """
SELECT DISTINCT pg_get_userbyid(d.defaclrole)::text, n.nspname::text, x.grantee = 0
FROM pg_catalog.pg_default_acl d CROSS JOIN LATERAL aclexplode(d.defaclacl) x
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
WHERE d.defaclobjtype = 'r' AND (n.nspname IS NULL OR n.nspname = $1)
  AND (x.grantee = 0 OR x.grantee = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $2))
ORDER BY 1, 2, 3
"""
_LOSERS: Final[LiteralString] = f"""
SELECT r.rolname::text,
       has_table_privilege(r.oid, t.oid, 'DELETE') OR has_any_column_privilege(r.oid, t.oid, 'UPDATE'),
       has_any_column_privilege(r.oid, t.oid, 'INSERT')
FROM pg_catalog.pg_roles r, pg_catalog.pg_class t
WHERE t.oid = $1::oid AND NOT r.rolsuper AND NOT r.rolbypassrls AND r.rolname !~ '^pg_'
  AND r.rolname NOT IN ($2, 'tenancy_owner')
  AND (t.relforcerowsecurity OR NOT pg_has_role(r.oid, t.relowner, 'USAGE'))
  AND has_any_column_privilege(r.oid, t.oid, 'SELECT')
  AND {_REACHES}
  AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_policy p CROSS JOIN LATERAL unnest(p.polroles) AS meant (role)
    WHERE p.polrelid = t.oid AND p.polpermissive AND p.polcmd IN ('r', '*')
      AND CASE meant.role WHEN 0 THEN true ELSE pg_has_role(r.oid, meant.role, 'USAGE') END)
ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation of the database."""

    oid: int
    schema: str
    name: str

    @property
    def identifier(self) -> sql.Identifier:
        """Its name for a statement."""
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class ExistingPolicy:
    """A policy as PostgreSQL shows it; `roles` may be PUBLIC."""

    name: str
    permissive: bool
    command: str
    roles: tuple[str, ...]
    condition: str
    check: str


@dataclass(frozen=True, slots=True)
class Users:
    """The other roles that can use a relation, without its owner and superusers.

    `granted` have a grant, their own or PUBLIC's; `by_public` have PUBLIC's; `before` can read or write rows now, and
    policies would apply to them.
    """

    granted: tuple[str, ...]
    by_public: tuple[str, ...]
    before: tuple[str, ...]


def relation_of(connection: psycopg.Connection[Any], name: str) -> Relation:
    """Return the existing relation schema.name. `connection` has psycopg's RawCursor, here and below."""
    schema, _, own = name.partition(".")
    return Relation(connection.execute(_OID, (name,)).fetchall()[0][0], schema, own)


def full_name(relation: Relation) -> str:
    """Return schema.name, without quotes."""
    return f"{relation.schema}.{relation.name}"


def parts_of(connection: psycopg.Connection[Any], relation: Relation) -> list[Relation]:
    """Return the partitions and inheritance children of a relation, at every level."""
    return [Relation(*row) for row in connection.execute(_PARTS, (relation.oid,)).fetchall()]


def policies_on(connection: psycopg.Connection[Any], relation: Relation) -> list[ExistingPolicy]:
    """Return the policies of a relation."""
    rows = connection.execute(_POLICIES, (relation.oid,)).fetchall()
    return [
        ExistingPolicy(name, permissive, command, tuple(roles), *texts)
        for name, permissive, command, roles, *texts in rows
    ]


def public_privileges(
    connection: psycopg.Connection[Any], relation: Relation
) -> list[tuple[LiteralString, tuple[str, ...]]]:
    """Return PUBLIC's privileges, each with its columns; no columns means the whole relation."""
    rows = connection.execute(_TO_PUBLIC, (relation.oid,)).fetchall()
    return [(privilege, tuple(columns or ())) for privilege, columns in rows]


def users_of(connection: psycopg.Connection[Any], relation: Relation, others: Iterable[str]) -> Users:
    """Return the roles that can use a relation, without `others` and roles that row level security never applies to."""
    rows = connection.execute(_USERS, (relation.oid, list(others))).fetchall()
    granted, by_public, before = (tuple(row[0] for row in rows if row[place]) for place in (1, 2, 3))
    return Users(granted, by_public, before)


def default_grants(connection: psycopg.Connection[Any], schema: str, login: str) -> list[tuple[str, str | None, bool]]:
    """Return the default grants on new tables: the creating role, the schema (None for all), and whether to PUBLIC."""
    return [tuple(row) for row in connection.execute(_DEFAULTS, (schema, login)).fetchall()]


def losers(connection: psycopg.Connection[Any], table: str, login: str) -> list[tuple[str, str]]:
    """Return every other role that can SELECT from `table` but has no permissive policy, and what it loses.

    The loss begins when row level security is on. `connection` is the administrator's.
    """
    rows = connection.execute(_LOSERS, (relation_of(connection, table).oid, login)).fetchall()
    return [(role, _loss(table, writes, inserts)) for role, writes, inserts in rows]


def _loss(table: str, writes: bool, inserts: bool) -> str:
    parts = [f"sees no row of {table}"]
    parts += ["its UPDATE and DELETE change no row"] if writes else []
    parts += ["its INSERT fails"] if inserts else []
    return ", ".join(parts)
