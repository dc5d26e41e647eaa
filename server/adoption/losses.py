"""What other roles lose when a table gets row level security, computed from grants, attributes and policies."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, LiteralString

import psycopg

from server.adoption.decisions import Decisions
from server.catalog.declarations import Table, Through
from server.catalog.protection.exposure import users_of
from server.catalog.readable import owner_columns
from server.catalog.tenant_columns import Facts, Tables, parent_key

What = Literal["rows", "copy_from", "pg_dump", "subscription"]
SENTENCES: Final[Mapping[What, str]] = {
    "rows": "sees no row",
    "copy_from": "COPY … FROM is refused",
    "pg_dump": "pg_dump is refused, unless with --enable-row-security",
    "subscription": "a subscription of its own cannot replicate into the table",
}
# The roles to which row level security will apply, and what they can do today. `covered` roles have a policy
# `as_before`, or a policy that the table already has.
_BOUND: Final[LiteralString] = """
SELECT r.rolname::text,
       r.rolcanlogin AND has_table_privilege(r.oid, t.oid, 'SELECT'),
       has_any_column_privilege(r.oid, t.oid, 'INSERT'),
       EXISTS (SELECT FROM pg_catalog.pg_subscription s JOIN pg_catalog.pg_subscription_rel x ON x.srsubid = s.oid
               WHERE s.subowner = r.oid AND x.srrelid = t.oid),
       t.relrowsecurity OR EXISTS (
         SELECT FROM pg_catalog.pg_roles b WHERE b.rolname = ANY ($2::text[]) AND pg_has_role(r.oid, b.oid, 'USAGE'))
FROM pg_catalog.pg_roles r, pg_catalog.pg_class t
WHERE t.oid = $1::oid AND NOT r.rolsuper AND NOT r.rolbypassrls AND r.rolname !~ '^pg_'
  AND r.rolname <> ALL ($3::text[]) AND r.rolname <> 'tenancy_owner'
  AND NOT pg_has_role(r.oid, t.relowner, 'USAGE')
  AND has_schema_privilege(r.oid, t.relnamespace, 'USAGE')
  AND (has_any_column_privilege(r.oid, t.oid, 'SELECT') OR has_any_column_privilege(r.oid, t.oid, 'INSERT')
       OR has_any_column_privilege(r.oid, t.oid, 'UPDATE') OR has_table_privilege(r.oid, t.oid, 'DELETE'))
ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Losses:
    """What changes for other roles at one table.

    `roles` holds what each role loses (not owners, superusers or BYPASSRLS roles); `kept` are the roles that the policy
    `as_before` covers; `fixed` are the columns whose type cannot be changed while policies name them.
    """

    roles: Mapping[str, tuple[What, ...]]
    kept: tuple[str, ...]
    fixed: tuple[str, ...]


def losses_of(connection: psycopg.Connection[Any], decisions: Decisions, login: str) -> dict[str, Losses]:
    """Return the losses at each declared table; `connection` has psycopg's RawCursor."""
    tables, facts = decisions.tables, decisions.database.facts
    fixed = _named_by_policies(tables, facts)
    found: dict[str, Losses] = {}
    for name, table in tables.items():
        relation = decisions.database.relations[name]
        bound = [login, *owner_columns(table, facts, tables)]
        before = users_of(connection, relation.relation, bound).before
        rows = connection.execute(_BOUND, (relation.oid, list(before), bound)).fetchall()
        roles = {role: tuple(_lost(*answers)) for role, *answers in rows}
        kept = () if relation.facts.row_security else before
        found[name] = Losses({role: lost for role, lost in roles.items() if lost}, kept, fixed[name])
    return found


def _lost(dumps: bool, inserts: bool, subscribes: bool, covered: bool) -> Iterator[What]:
    if not covered:
        yield "rows"
    if inserts:
        yield "copy_from"
    if dumps:
        yield "pg_dump"
    if subscribes:
        yield "subscription"


def _named_by_policies(tables: Tables, facts: Facts) -> dict[str, tuple[str, ...]]:
    """Return the columns of each table that its policies or its children's policies name."""
    named: dict[str, set[str]] = {name: set() for name in tables}
    for name, table in tables.items():
        named[name] |= set(_own_columns(table))
        if isinstance(table.tenant, Through) and (key := parent_key(table, facts)) is not None:
            named[table.tenant.parent].add(key)
    return {name: tuple(sorted(columns)) for name, columns in named.items()}


def _own_columns(table: Table) -> Iterator[str]:
    if table.tenant is not None:
        yield table.tenant.through if isinstance(table.tenant, Through) else table.tenant
