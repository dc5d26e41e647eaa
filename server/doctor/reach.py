"""Everything that the login may read in any schema: grants to it, to its roles and to PUBLIC."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

_GRANTS: Final[LiteralString] = """
WITH RECURSIVE acting (oid) AS (
  SELECT oid FROM pg_catalog.pg_roles WHERE rolname = $1
  UNION
  SELECT m.roleid FROM acting a JOIN pg_catalog.pg_auth_members m ON m.member = a.oid
), held (relation, name, grantee, privilege, grantable) AS (
  -- An owner without grants has the default ones.
  SELECT c.oid, NULL::text, x.grantee, x.privilege_type, x.is_grantable
  FROM pg_catalog.pg_class c CROSS JOIN LATERAL aclexplode(
    coalesce(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, c.relowner))) x
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    AND (c.relacl IS NOT NULL OR c.relowner IN (SELECT oid FROM acting))
  UNION ALL
  SELECT a.attrelid, a.attname::text, x.grantee, x.privilege_type, x.is_grantable
  FROM pg_catalog.pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) x
  WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
)
SELECT n.nspname::text, c.relname::text, c.relkind::text, h.name, h.grantable,
       CASE h.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(h.grantee)::text END
FROM held h JOIN pg_catalog.pg_class c ON c.oid = h.relation JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE (h.grantee = 0 OR h.grantee IN (SELECT oid FROM acting))
  AND (h.privilege = 'SELECT' OR c.relkind = 'S')
  AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_(catalog$|temp_|toast)'
ORDER BY 1, 2, h.name NULLS FIRST, 6
"""
_PARTS: Final[LiteralString] = """
WITH RECURSIVE part (declared, oid) AS (
  SELECT n.nspname || '.' || c.relname, c.oid
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname || '.' || c.relname = ANY ($1::text[]) AND c.relkind IN ('r', 'p')
  UNION
  SELECT part.declared, i.inhrelid FROM part JOIN pg_catalog.pg_inherits i ON i.inhparent = part.oid
)
SELECT n.nspname || '.' || c.relname, part.declared
FROM part JOIN pg_catalog.pg_class c ON c.oid = part.oid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname || '.' || c.relname <> part.declared
"""


@dataclass(frozen=True, slots=True)
class Grant:
    """SELECT on a relation or on one of its columns; `kind` is relkind, a `grantee` of None means PUBLIC."""

    schema: str
    name: str
    kind: str
    column: str | None
    grantable: bool
    grantee: str | None

    @property
    def relation(self) -> str:
        """schema.name, without quotes."""
        return f"{self.schema}.{self.name}"


def readable(connection: psycopg.Connection[Any], role: str) -> dict[str, list[Grant]]:
    """Return what `role` may read outside of PostgreSQL's schemas, by schema.name.

    A grant also counts without USAGE on the schema: the login could reach the relation through views and functions.
    """
    found: dict[str, list[Grant]] = {}
    for row in connection.execute(_GRANTS, (role,)).fetchall():
        grant = Grant(*row)
        found.setdefault(grant.relation, []).append(grant)
    return found


def parts_of(connection: psycopg.Connection[Any], declared: Iterable[str]) -> Mapping[str, str]:
    """Return each partition and inheritance child, at every level, with the declared table that it belongs to."""
    return dict(connection.execute(_PARTS, (list(declared),)).fetchall())


def grantees(grants: Iterable[Grant]) -> sql.Composed:
    """Return the grantees as SQL for REVOKE."""
    names = dict.fromkeys(grant.grantee for grant in grants)
    return sql.SQL(", ").join(sql.SQL("PUBLIC") if name is None else sql.Identifier(name) for name in names)


def said(grants: Iterable[Grant], login: str) -> str:
    """Return through whom a login has these grants: empty for its own, else a text such as ", by PUBLIC"."""
    others = [grant.grantee or "PUBLIC" for grant in grants if grant.grantee != login]
    return f", by {' and '.join(dict.fromkeys(others))}" if others else ""
