"""Whether a declared table already has exactly the protection that `adopt` would write for it."""

from collections.abc import Mapping
from typing import Any, Final, LiteralString

import psycopg

from server.adoption.decisions import Decisions
from server.adoption.relations import FoundRelation
from server.catalog.declarations import Table
from server.catalog.policies import collapsed, expected_text
from server.catalog.protection.exposure import parts_of, public_privileges
from server.catalog.protection.table import FLOOR, READS
from server.catalog.readable import granted_columns, owner_columns
from server.catalog.tenant_columns import missing_index

_GRANTED: Final[LiteralString] = """
SELECT c.oid::bigint,
       EXISTS (SELECT FROM aclexplode(c.relacl) x WHERE x.grantee = r.oid),
       ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a CROSS JOIN LATERAL aclexplode(a.attacl) x
             WHERE a.attrelid = c.oid AND x.grantee = r.oid AND x.privilege_type = 'SELECT')
FROM pg_catalog.pg_roles r, pg_catalog.pg_class c WHERE r.rolname = $1 AND c.oid = ANY ($2::oid[])
"""
# Whether the login has grants on the whole relation, and the columns that it may read.
_Grants = Mapping[int, tuple[bool, frozenset[str]]]


def protected_tables(connection: psycopg.Connection[Any], decisions: Decisions, login: str) -> set[str]:
    """Return the declared tables that need no more SQL; `connection` has search_path = pg_catalog."""
    grants = _grants(connection, login, [one.oid for one in decisions.database.relations.values()])
    return {
        name
        for name, table in decisions.tables.items()
        if _has_policies(decisions, table, login)
        and _has_grants(connection, decisions, table, grants)
        and missing_index(table, decisions.database.facts) is None
    }


def _grants(connection: psycopg.Connection[Any], login: str, oids: list[int]) -> _Grants:
    rows = connection.execute(_GRANTED, (login, oids)).fetchall()
    return {oid: (whole, frozenset(columns)) for oid, whole, columns in rows}


def _has_policies(decisions: Decisions, table: Table, login: str) -> bool:
    """Whether row level security is on, with the floor and the reading policy for exactly the roles that need them."""
    facts, found = decisions.database.facts, decisions.database.relations[table.name]
    if found.facts.kind == "v":
        # A view has no policies: it reads its tables as the caller, or as an owner to whom their policies apply.
        return found.facts.invoker or found.facts.bound_owner
    bound = {login, *owner_columns(table, facts, decisions.tables)}
    expected = expected_text(table, facts)
    policies = {policy.name: policy for policy in found.policies}
    floor, reads = policies.get(FLOOR), policies.get(READS)
    if not found.facts.row_security or floor is None or reads is None:
        return False
    conditions = {collapsed(text) for text in (floor.condition, floor.check, reads.condition)}
    return (
        conditions == {expected}
        and set(floor.roles) == bound == set(reads.roles)
        and (floor.permissive, floor.command, reads.permissive, reads.command) == (False, "ALL", True, "SELECT")
    )


def _has_grants(connection: psycopg.Connection[Any], decisions: Decisions, table: Table, grants: _Grants) -> bool:
    found: FoundRelation = decisions.database.relations[table.name]
    relations = [found.relation, *parts_of(connection, found.relation)]
    own, others = relations[0], [one for one in relations[1:] if f"{one.schema}.{one.name}" not in decisions.tables]
    wanted = frozenset(granted_columns(table, decisions.database.facts, decisions.tables))
    return (
        grants.get(own.oid) == (False, wanted)
        and all(grants.get(one.oid, (False, frozenset())) == (False, frozenset()) for one in others)
        and not any(public_privileges(connection, one) for one in (own, *others))
    )
