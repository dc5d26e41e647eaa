"""How the tenant of each table is found: by its own column or by foreign keys to a table with one, never by a guess."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from server.adoption.keys import ForeignKeys
from server.adoption.relations import DatabaseRelations
from server.adoption.request import Request

Name = str


@dataclass(frozen=True, slots=True)
class Own:
    """The column that holds the tenant; `because` gives the reason."""

    column: str
    because: str


@dataclass(frozen=True, slots=True)
class Parent:
    """The foreign key to a parent whose tenant is known, and the parent's column that it refers to."""

    through: str
    parent: Name
    key: str


@dataclass(frozen=True, slots=True)
class Shared:
    """The administrator declared that every tenant may read the table."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """A person must decide whose rows these are; `ways` are the candidates, where there are several."""

    reason: str
    ways: tuple[Own | Parent, ...] = ()


Way = Own | Parent | Shared | Undecided


def find_ways(database: DatabaseRelations, request: Request) -> dict[Name, Way]:
    """Return how the tenant of each table is found, by schema.table; parents come before their children."""
    return _Finder(database, request).ways()


class _Finder:
    def __init__(self, database: DatabaseRelations, request: Request) -> None:
        self._request: Final = request
        self._keys: Final = ForeignKeys(database, request)
        self._tables: Final = self._keys.tables
        self._found: Final[dict[Name, Way]] = {}
        # The number of foreign keys on the way from a table to one with the tenant column, such as the tenants' table.
        self._distances: Final[dict[Name, int]] = {}

    def ways(self) -> dict[Name, Way]:
        for name in self._tables:
            self._start(name)
        distance = 0
        # All tables of one distance are decided before the next distance, because the shortest way wins.
        while reached := {name: found for name in self._waiting() if (found := self._candidates(name, distance))}:
            self._distances.update(dict.fromkeys(reached, distance + 1))
            self._found.update({name: self._choose(candidates) for name, candidates in reached.items()})
            distance += 1
        self._found.update({name: Undecided(self._why_not(name)) for name in self._waiting()})
        return self._found

    def _waiting(self) -> list[Name]:
        return [name for name in self._tables if name not in self._found]

    def _start(self, name: Name) -> None:
        """Decide a table by its option, by a named column, or because it is the table of tenants."""
        columns, request = self._tables[name].facts.columns, self._request
        named = [column for column in request.names if column in columns]
        if name in request.shared:
            self._found[name] = Shared()
        elif name in request.chosen:
            column = request.chosen[name]
            # A chosen column holds the tenant, unless it refers to a row of a parent that does.
            if self._keys.holds_tenant(name, column) or not self._keys.steps(name, column):
                self._has(name, Own(column, f"column {column}, as --tenant-column says"))
        elif named:
            holders = dict.fromkeys([*named, *self._keys.holders(name)])
            two = _two_tenants(holders) if len(holders) > 1 else None
            self._has(name, two or Own(named[0], f"column {named[0]}"))
        elif name == self._keys.tenants_table:
            column = self._keys.tenants_key
            self._has(name, Own(column, f"column {column}: it is the table of the tenants"))

    def _has(self, name: Name, way: Own | Undecided) -> None:
        self._distances[name] = 0
        self._found[name] = way

    def _candidates(self, name: Name, distance: int) -> list[Own | Parent]:
        """Return the ways from a table to tables that are `distance` foreign keys away from the tenant column."""
        chosen = self._request.chosen.get(name)
        holders = self._keys.holders(name) if distance == 0 and chosen is None else []
        own = [Own(column, f"column {column}, which refers to the table of the tenants") for column in holders]
        steps = [
            Parent(through, parent, key)
            for through, parent, key in self._keys.steps(name, chosen)
            if self._distances.get(parent) == distance and through not in holders
        ]
        return [*own, *steps]

    def _choose(self, candidates: list[Own | Parent]) -> Way:
        way, *others = candidates
        if others:
            holders = [one.column for one in candidates if isinstance(one, Own)]
            if len(holders) == len(candidates):
                return _two_tenants(holders)
            ways = "; ".join(shown_way(one) for one in candidates)
            return Undecided(f"{len(candidates)} paths to a tenant are equally short: {ways}", tuple(candidates))
        if isinstance(way, Parent) and isinstance(self._found[way.parent], Undecided):
            return Undecided(f"its tenant comes from {way.parent} (through {way.through}), which is not decided")
        return way

    def _why_not(self, name: Name) -> str:
        if (column := self._request.chosen.get(name)) is not None:
            return f"its column {column} refers to a table whose tenant is not known either"
        if wide := self._keys.wide(name, self._distances):
            return (
                f"only the foreign key ({', '.join(wide.columns)}) leads to {wide.parent}, and a policy cannot follow "
                "several columns with an index; give it an own tenant column"
            )
        named = " or ".join(self._request.names)
        missing = f"it has no column {named}, and no" if named else "no"
        return f"{missing} foreign key leads from it to a table with a tenant"


def shown_way(way: Own | Parent) -> str:
    """Return a candidate as text for a person."""
    return way.column if isinstance(way, Own) else f"{way.through} → {way.parent}"


def _two_tenants(columns: Iterable[str]) -> Undecided:
    names = tuple(columns)
    return Undecided(
        f"one row has two tenants: {' and '.join(names)} each hold one",
        tuple(Own(name, f"column {name}") for name in names),
    )
