"""The policies of each declared table, compared with the text that PostgreSQL shows for the canonical ones."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, LiteralString

import psycopg
from psycopg import sql

from server.catalog.declarations import Table
from server.catalog.policies import collapsed, expected_text, expression
from server.catalog.protection.exposure import relation_of, users_of
from server.catalog.protection.table import FLOOR, READS
from server.doctor.offender import Offender

if TYPE_CHECKING:
    from server.doctor.declared import Declared

# A policy applies to a role by the role's name, through PUBLIC, or through a role that it is a member of.
_POLICIES: Final[LiteralString] = """
WITH RECURSIVE acting (role, oid) AS (
  SELECT rolname, oid FROM pg_catalog.pg_roles WHERE rolname = ANY ($2::text[])
  UNION
  SELECT a.role, m.roleid FROM acting a JOIN pg_catalog.pg_auth_members m ON m.member = a.oid
)
SELECT n.nspname || '.' || c.relname, p.polname::text, p.polpermissive, p.polcmd::text,
       ARRAY(SELECT CASE one WHEN 0 THEN NULL ELSE pg_get_userbyid(one)::text END FROM unnest(p.polroles) AS one),
       ARRAY(SELECT a.role::text FROM acting a WHERE a.oid = ANY (p.polroles) OR p.polroles = ARRAY[0::oid]),
       coalesce(pg_get_expr(p.polqual, p.polrelid), ''), coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
FROM pg_catalog.pg_policy p
JOIN pg_catalog.pg_class c ON c.oid = p.polrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname || '.' || c.relname = ANY ($1::text[])
  AND (p.polname IN ('tenant_floor', 'tenant_reads')
       OR p.polroles && (ARRAY[0::oid] || ARRAY(SELECT oid FROM acting)))
ORDER BY 1, 2
"""
_COMMANDS: Final = {"*": "ALL", "r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE"}


@dataclass(frozen=True, slots=True)
class FoundPolicy:
    """One policy; a role of None means PUBLIC, an empty condition means none.

    `bound` are the requested roles that it applies to, by name, by membership or through PUBLIC.
    """

    name: str
    permissive: bool
    command: str
    roles: tuple[str | None, ...]
    bound: frozenset[str]
    condition: str
    check: str


@dataclass(frozen=True, slots=True)
class _Canonical:
    """The required form of a policy, and the condition to create it with."""

    name: str
    permissive: bool
    command: str
    text: str
    check: str
    condition: sql.Composed

    def differences(self, found: FoundPolicy, roles: Sequence[str]) -> Iterator[str]:
        """Yield the differences of the policy that has this name."""
        if found.permissive != self.permissive:
            yield "is permissive" if found.permissive else "is restrictive"
        if found.command != self.command:
            yield f"is for {_COMMANDS[found.command]}"
        if set(found.roles) != set(roles):
            yield f"is for {', '.join(role or 'PUBLIC' for role in found.roles)}"
        if found.condition != self.text:
            yield f"has the condition {found.condition or '(none)'}"
        if found.check != self.check:
            yield f"has WITH CHECK {found.check or '(none)'}"


def policies_on(
    connection: psycopg.Connection[Any], tables: Iterable[str], roles: Iterable[str]
) -> dict[str, list[FoundPolicy]]:
    """Return the canonical policies and all that apply to one of `roles`, by table, inside a `settled` transaction."""
    found: dict[str, list[FoundPolicy]] = {}
    rows = connection.execute(_POLICIES, (list(tables), list(roles))).fetchall()
    for table, name, permissive, command, meant, bound, *texts in rows:
        policy = FoundPolicy(name, permissive, command, tuple(meant), frozenset(bound), *map(collapsed, texts))
        found.setdefault(table, []).append(policy)
    return found


def policy_offenders(connection: psycopg.Connection[Any], declared: "Declared") -> Iterator[Offender]:
    """Yield each table without row level security, each wrong canonical policy, and each other policy for the login."""
    for table in declared.isolable:
        if declared.facts[table.name].kind == "v":
            continue
        if not declared.facts[table.name].row_security:
            enable = sql.SQL("ALTER TABLE {} ENABLE ROW LEVEL SECURITY;").format(declared.relation(table.name))
            yield Offender(
                table.name,
                "has no row level security",
                f"{enable.as_string()} -- `tenantgate tools sql {table.name}` keeps what other roles see",
            )
        yield from _policies_of(connection, declared, table)


def _policies_of(connection: psycopg.Connection[Any], declared: "Declared", table: Table) -> Iterator[Offender]:
    text = expected_text(table, declared.facts)
    condition = expression(table, declared.facts)
    canonical = (
        _Canonical(FLOOR, permissive=False, command="*", text=text, check=text, condition=condition),
        _Canonical(READS, permissive=True, command="r", text=text, check="", condition=condition),
    )
    found = {policy.name: policy for policy in declared.policies.get(table.name, ())}
    for wanted in canonical:
        yield from _compared(declared, table, wanted, found.get(wanted.name))
    for name, policy in found.items():
        if name not in {FLOOR, READS} and policy.bound.intersection(declared.bound(table.name)):
            yield _other(connection, declared, table, policy)


def _compared(declared: "Declared", table: Table, wanted: _Canonical, found: FoundPolicy | None) -> Iterator[Offender]:
    roles = declared.bound(table.name)
    if found is None:
        problem = f"has no policy {wanted.name}, the {'reading policy' if wanted.permissive else 'restrictive floor'}"
        yield Offender(table.name, problem, _created(declared, table, wanted))
        return
    differences = list(wanted.differences(found, roles))
    if not differences:
        return
    if (found.permissive, found.command) == (wanted.permissive, wanted.command):
        remedy = _statement(declared, table, wanted, "ALTER POLICY {} ON {} TO {} USING ({})")
    else:
        dropped = sql.SQL("DROP POLICY {} ON {};").format(sql.Identifier(found.name), declared.relation(table.name))
        remedy = f"{dropped.as_string()} {_created(declared, table, wanted)}"
    problem = f"its policy {wanted.name} {', '.join(differences)}; it has to be: {wanted.text}, for {', '.join(roles)}"
    yield Offender(table.name, problem, remedy)


def _created(declared: "Declared", table: Table, wanted: _Canonical) -> str:
    if wanted.permissive:
        return _statement(declared, table, wanted, "CREATE POLICY {} ON {} FOR SELECT TO {} USING ({})")
    return _statement(declared, table, wanted, "CREATE POLICY {} ON {} AS RESTRICTIVE FOR ALL TO {} USING ({})")


def _statement(declared: "Declared", table: Table, wanted: _Canonical, form: LiteralString) -> str:
    roles = sql.SQL(", ").join(map(sql.Identifier, declared.bound(table.name)))
    statement = sql.SQL(form).format(
        sql.Identifier(wanted.name), declared.relation(table.name), roles, wanted.condition
    )
    if wanted.check:
        statement = sql.SQL("{} WITH CHECK ({})").format(statement, wanted.condition)
    return f"{statement.as_string()};"


def _other(connection: psycopg.Connection[Any], declared: "Declared", table: Table, policy: FoundPolicy) -> Offender:
    """Return the offender for another policy that applies to the login too."""
    bound = declared.bound(table.name)
    concerned = " and ".join(role for role in bound if role in policy.bound)
    meant = ", ".join(role or "PUBLIC" for role in policy.roles)
    effect = "shows further rows" if policy.permissive else "hides rows or fails"
    problem = f"its policy {policy.name}, for {meant}, is for {concerned} too and {effect}: {policy.condition}"
    name, relation = sql.Identifier(policy.name), declared.relation(table.name)
    if not {None, *bound} & set(policy.roles):
        return Offender(table.name, problem, f"remove {concerned} from the members of {meant}")
    others = [role for role in policy.roles if role is not None and role not in bound]
    if None in policy.roles:
        others = list(users_of(connection, relation_of(connection, table.name), bound).before)
    if not others:
        return Offender(table.name, problem, sql.SQL("DROP POLICY {} ON {};").format(name, relation).as_string())
    roles = sql.SQL(", ").join(map(sql.Identifier, others))
    alter = sql.SQL("ALTER POLICY {} ON {} TO {};").format(name, relation, roles).as_string()
    return Offender(table.name, problem, f"{alter} -- name the roles that it is meant for")
