"""Which tables are declared and how, and which are not decided and why."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from server.adoption.declaring import Declared, Declaring, Refused
from server.adoption.relations import Database, Found
from server.adoption.request import Request
from server.adoption.ways import Own, Parent, Undecided, Way, find_ways
from server.catalog.declarations import Table
from server.catalog.policy_problems import obstacles
from server.catalog.protection.exposure import Policy
from server.catalog.protection.table import AS_BEFORE, FLOOR, READS
from server.catalog.tenant_columns import Family, family_of

_OURS: Final = frozenset({AS_BEFORE, FLOOR, READS})
_KINDS: Final[Mapping[str, str]] = {
    "v": "a view has no policies, and no key that a cursor could use; declare it by hand (docs/catalog.md), and "
    "`tenantgate tools sql` says how it is protected",
    "m": "a materialized view cannot have row level security; make a view or a table of it",
    "f": "a foreign table cannot have row level security; make a table of it",
}


@dataclass(frozen=True, slots=True)
class Decisions:
    """What was decided for each relation; parents come before their children.

    `declared` are the tables that tools are wanted for, and their parents; `undecided` holds every other relation that
    was asked for; `id_type` is how tenant ids are written in this database.
    """

    database: Database
    ways: Mapping[str, Way]
    declared: Mapping[str, Declared]
    undecided: Mapping[str, Undecided]
    id_type: Family

    @property
    def tables(self) -> dict[str, Table]:
        """The declarations by schema.table."""
        return {name: one.table for name, one in self.declared.items()}


def decide(database: Database, request: Request, login: str, taken: Collection[str] = ()) -> Decisions:
    """Return the decisions for every relation that the request asks for; no tool gets one of the names in `taken`."""
    ways = find_ways(database, request)
    wanted = {
        name
        for name, found in database.relations.items()
        if name in ways and request.wants(found.facts.schema, found.facts.name)
    }
    id_type = _id_type(database, ways)
    declaring = Declaring(database, wanted, taken)
    declared: dict[str, Declared] = {}
    undecided: dict[str, Undecided] = {}
    for name, way in ways.items():
        outcome = _outcome(database, request, declaring, declared, name, way, login, id_type)
        if isinstance(outcome, Undecided):
            undecided[name] = outcome
        else:
            declared[name] = outcome
    kept = {ancestor for name in wanted & declared.keys() for ancestor in _with_ancestors(name, declared)}
    for name, found in database.relations.items():
        if found.facts.kind in _KINDS and not found.extension and request.wants(found.facts.schema, found.facts.name):
            undecided[name] = Undecided(_KINDS[found.facts.kind])
    return Decisions(
        database,
        ways,
        {name: one for name, one in declared.items() if name in kept},
        {name: one for name, one in sorted(undecided.items()) if name in wanted or name not in ways},
        id_type,
    )


def is_ours(found: Found, login: str) -> bool:
    """Whether the row level security of a table is what `adopt` wrote for this login, entirely or in part."""
    floor = any(one.name == FLOOR and login in one.roles and not one.permissive for one in found.policies)
    return floor or (bool(found.policies) and all(one.name in _OURS for one in found.policies))


def _outcome(  # noqa: PLR0913, PLR0917  # what a decision depends on
    database: Database,
    request: Request,
    declaring: Declaring,
    declared: Mapping[str, Declared],
    name: str,
    way: Way,
    login: str,
    id_type: Family,
) -> Declared | Undecided:
    if isinstance(way, Undecided):
        return way
    found = database.relations[name]
    keeps = request.keeps_policies(name) or is_ours(found, login)
    reason = _why_not(found, way, declared, id_type, keeps_policies=keeps)
    if reason is not None:
        return Undecided(reason)
    try:
        outcome = declaring.declare(name, way)
    except Refused as refusal:
        return Undecided(str(refusal))
    tables = {one: declared[one].table for one in declared} | {name: outcome.table}
    found_obstacles = obstacles(outcome.table, tables, database.facts, id_type)
    return Undecided(found_obstacles[0].removeprefix(f"{name}: ")) if found_obstacles else outcome


def _why_not(
    found: Found, way: Way, declared: Mapping[str, Declared], id_type: Family, *, keeps_policies: bool
) -> str | None:
    if isinstance(way, Parent) and way.parent not in declared:
        return f"its way leads to {way.parent} (by {way.through}), which is not decided"
    if found.name.count(".") > 1:
        return "a name with a dot in it cannot be declared"
    if found.facts.row_security and not keeps_policies:
        return _existing(found)
    return _other_type(found, way, id_type) if isinstance(way, Own) else None


def _existing(found: Found) -> str:
    policies = "; ".join(_described(one) for one in found.policies) or "none, so that it shows nothing"
    return (
        f"row level security is on already, with policies of its own: {policies}. Those for PUBLIC bind the login too. "
        f"--keep-policies {found.name} keeps them for the roles that have grants today, and takes them from the login"
    )


def _described(policy: Policy) -> str:
    kind = "permissive" if policy.permissive else "restrictive"
    condition = f" USING {' '.join(policy.condition.split())}" if policy.condition else ""
    return f"{policy.name} ({kind}, for {policy.command} to {', '.join(policy.roles)}{condition})"


def _id_type(database: Database, ways: Mapping[str, Way]) -> Family:
    """Return the type of most tenant columns; a text column can hold an id of any type."""
    counts: dict[Family, int] = {"uuid": 0, "integer": 0}
    for name, way in ways.items():
        family = family_of(database.relations[name].facts.columns[way.column]) if isinstance(way, Own) else None
        if family in counts:
            counts[family] += 1
    return max(counts, key=lambda family: counts[family]) if any(counts.values()) else "text"


def _other_type(found: Found, way: Own, id_type: Family) -> str | None:
    column = found.facts.columns[way.column]
    if family_of(column) in {None, "text", id_type}:
        return None
    return (
        f"its column {way.column} is {column.type}, while most tenant columns here are of the type {id_type}; tenants "
        "have one type of id"
    )


def _with_ancestors(name: str, declared: Mapping[str, Declared]) -> list[str]:
    chain = [name]
    while (tenant := declared[chain[-1]].table.tenant) is not None and not isinstance(tenant, str):
        chain.append(tenant.parent)
    return chain
