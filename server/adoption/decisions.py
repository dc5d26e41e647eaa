"""Which tables are declared and how, and which are undecided and why."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from server.adoption.declaring import DeclaredTable, Declaring, Refused
from server.adoption.relations import DatabaseRelations, FoundRelation
from server.adoption.request import Request
from server.adoption.ways import Own, Parent, Undecided, Way, find_ways
from server.catalog.declarations import Table
from server.catalog.policy_problems import obstacles
from server.catalog.protection.exposure import ExistingPolicy
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
    """The decision for each relation; parents come before their children.

    `declared` are the tables that get tools, and their parents; `undecided` are all other relations of the request;
    `id_type` is the type of tenant ids in this database.
    """

    database: DatabaseRelations
    ways: Mapping[str, Way]
    declared: Mapping[str, DeclaredTable]
    undecided: Mapping[str, Undecided]
    id_type: Family

    @property
    def tables(self) -> dict[str, Table]:
        """The declarations by schema.table."""
        return {name: one.table for name, one in self.declared.items()}


def decide(database: DatabaseRelations, request: Request, login: str, taken: Collection[str] = ()) -> Decisions:
    """Return the decisions for every relation that the request asks for; no tool gets one of the names in `taken`."""
    ways = find_ways(database, request)
    wanted = {
        name
        for name, found in database.relations.items()
        if name in ways and request.wants(found.facts.schema, found.facts.name)
    }
    decider = _Decider(database, request, login, _id_type(database, ways), Declaring(database, wanted, taken))
    for name, way in ways.items():
        decider.decide(name, way)
    declared, undecided = decider.declared, decider.undecided
    kept = {ancestor for name in wanted & declared.keys() for ancestor in _with_ancestors(name, declared)}
    for name, found in database.relations.items():
        if found.facts.kind in _KINDS and not found.extension and request.wants(found.facts.schema, found.facts.name):
            undecided[name] = Undecided(_KINDS[found.facts.kind])
    return Decisions(
        database,
        ways,
        {name: one for name, one in declared.items() if name in kept},
        {name: one for name, one in sorted(undecided.items()) if name in wanted or name not in ways},
        decider.id_type,
    )


def is_ours(found: FoundRelation, login: str) -> bool:
    """Whether `adopt` wrote the row level security of a table for this login, entirely or in part."""
    floor = any(one.name == FLOOR and login in one.roles and not one.permissive for one in found.policies)
    return floor or (bool(found.policies) and all(one.name in _OURS for one in found.policies))


@dataclass
class _Decider:
    """Decides the tables one by one, parents first."""

    database: DatabaseRelations
    request: Request
    login: str
    id_type: Family
    declaring: Declaring
    declared: dict[str, DeclaredTable] = field(default_factory=dict[str, DeclaredTable])
    undecided: dict[str, Undecided] = field(default_factory=dict[str, Undecided])

    def decide(self, name: str, way: Way) -> None:
        outcome = self._outcome(name, way)
        if isinstance(outcome, Undecided):
            self.undecided[name] = outcome
        else:
            self.declared[name] = outcome

    def _outcome(self, name: str, way: Way) -> DeclaredTable | Undecided:
        if isinstance(way, Undecided):
            return way
        if (reason := self._why_not(self.database.relations[name], way)) is not None:
            return Undecided(reason)
        try:
            outcome = self.declaring.declare(name, way)
        except Refused as refusal:
            return Undecided(str(refusal))
        tables = {one: declared.table for one, declared in self.declared.items()} | {name: outcome.table}
        found = obstacles(outcome.table, tables, self.database.facts, self.id_type)
        return Undecided(found[0].removeprefix(f"{name}: ")) if found else outcome

    def _why_not(self, found: FoundRelation, way: Way) -> str | None:
        if isinstance(way, Parent) and way.parent not in self.declared:
            return f"its tenant comes from {way.parent} (through {way.through}), which is not decided"
        if found.name.count(".") > 1:
            return "a name with a dot in it cannot be declared"
        ours = is_ours(found, self.login)
        if found.policies and not found.facts.row_security and not ours:
            return f"enabling row level security would put its policies into force: {_policies(found)}; drop them first"
        if found.facts.row_security and not ours and not self.request.keeps_policies(found.name):
            return _existing(found)
        return _other_type(found, way, self.id_type) if isinstance(way, Own) else None


def _existing(found: FoundRelation) -> str:
    return (
        f"row level security is on already, with policies of its own: {_policies(found)}. Those for PUBLIC bind the "
        "login too. "
        f"--keep-policies {found.name} keeps them for the roles that have grants today, and takes them from the login"
    )


def _policies(found: FoundRelation) -> str:
    return "; ".join(_described(one) for one in found.policies) or "none, so it shows no row"


def _described(policy: ExistingPolicy) -> str:
    kind = "permissive" if policy.permissive else "restrictive"
    condition = f" USING {' '.join(policy.condition.split())}" if policy.condition else ""
    return f"{policy.name} ({kind}, for {policy.command} to {', '.join(policy.roles)}{condition})"


def _id_type(database: DatabaseRelations, ways: Mapping[str, Way]) -> Family:
    """Return the type of most tenant columns; a text column can hold an id of any type."""
    counts: dict[Family, int] = {"uuid": 0, "integer": 0}
    for name, way in ways.items():
        family = family_of(database.relations[name].facts.columns[way.column]) if isinstance(way, Own) else None
        if family in counts:
            counts[family] += 1
    return max(counts, key=lambda family: counts[family]) if any(counts.values()) else "text"


def _other_type(found: FoundRelation, way: Own, id_type: Family) -> str | None:
    column = found.facts.columns[way.column]
    if family_of(column) in {None, "text", id_type}:
        return None
    return (
        f"its column {way.column} is {column.type}, while most tenant columns here are of the type {id_type}; tenants "
        "have one type of id"
    )


def _with_ancestors(name: str, declared: Mapping[str, DeclaredTable]) -> list[str]:
    chain = [name]
    while (tenant := declared[chain[-1]].table.tenant) is not None and not isinstance(tenant, str):
        chain.append(tenant.parent)
    return chain
