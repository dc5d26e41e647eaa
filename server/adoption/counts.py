"""How many rows and tenants each table has, counted as the administrator, to whom no policy applies."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from server.adoption.decisions import Decisions
from server.adoption.keys import TABLES
from server.adoption.relations import FoundRelation
from server.adoption.ways import Own, Parent, Shared, Undecided, Way
from server.progress import SILENT, Progress

# The planner's estimate replaces a count that takes longer than the first, and every count after the second.
_LONGEST_S: Final = 10
_ALL_S: Final = 60
_Connection = psycopg.Connection[Any]


@dataclass(frozen=True, slots=True)
class Count:
    """The rows of one table.

    `exact` is False for an estimate. `tenants` is None where it is not known; `unseen` rows belong to no tenant, so
    nobody sees them; in `differing` rows, equally short ways to the tenant give different tenants.
    """

    rows: int
    exact: bool = True
    tenants: int | None = None
    unseen: int | None = None
    differing: int | None = None


def count_rows(connection: _Connection, decisions: Decisions, shown: Progress = SILENT) -> dict[str, Count]:
    """Return the count of each table that is declared or undecided; a table that is too large is estimated."""
    counted: dict[str, Count] = {}
    connection.execute(sql.SQL("SET statement_timeout = {}").format(sql.Literal(_LONGEST_S * 1_000)))
    # Where policies apply to the administrator, they would hide rows from the count. This makes it an error.
    connection.execute("SET row_security = off")
    end = time.monotonic() + _ALL_S
    for name in (*decisions.declared, *decisions.undecided):
        found = decisions.database.relations[name]
        if found.facts.kind in TABLES:
            shown.step(f"counting rows: {name}")
            in_time = time.monotonic() < end
            counted[name] = _count(connection, decisions.ways, found) if in_time else Count(found.estimate, exact=False)
    connection.execute("RESET row_security")
    connection.execute("RESET statement_timeout")
    return counted


def _count(connection: _Connection, ways: Mapping[str, Way], found: FoundRelation) -> Count:
    try:
        return _exact(connection, ways, found)
    except (psycopg.errors.QueryCanceled, psycopg.errors.InsufficientPrivilege):
        return Count(found.estimate, exact=False)


def _exact(connection: _Connection, ways: Mapping[str, Way], found: FoundRelation) -> Count:
    way = ways.get(found.name)
    if isinstance(way, Own | Parent):
        chains = [_Chain(ways, found.name, way, 0)]
    elif isinstance(way, Undecided) and len(way.ways) > 1 and all(_leads(ways, one) for one in way.ways):
        chains = [_Chain(ways, found.name, one, place) for place, one in enumerate(way.ways)]
    else:
        statement = sql.SQL("SELECT count(*) FROM {}").format(_relation(found.name))
        return Count(connection.execute(statement).fetchall()[0][0])
    if len(chains) == 1:
        return Count(*connection.execute(_by_tenant(found.name, chains[0])).fetchall()[0])
    rows, differing = connection.execute(_compared(found.name, chains)).fetchall()[0]
    return Count(rows, differing=differing)


class _Chain:
    """The joins from a table to the column that holds its tenant; aliases are unique per chain."""

    def __init__(self, ways: Mapping[str, Way], table: str, way: Own | Parent, number: int) -> None:
        here = sql.Identifier("t")
        self.joins: sql.Composable = sql.SQL("")
        place = 0
        while isinstance(way, Parent):
            place += 1
            alias = sql.Identifier(f"c{number}_{place}")
            self.joins += sql.SQL(" LEFT JOIN {} AS {} ON {}.{} = {}.{}").format(
                _relation(way.parent), alias, alias, sql.Identifier(way.key), here, sql.Identifier(way.through)
            )
            here, table = alias, way.parent
            following = ways[table]
            if not isinstance(following, Own | Parent):
                raise TypeError(f"{table} has no tenant")
            way = following
        self.tenant: Final = sql.SQL("{}.{}").format(here, sql.Identifier(way.column))


def _by_tenant(name: str, chain: _Chain) -> sql.Composed:
    return sql.SQL(
        "SELECT coalesce(sum(n), 0)::bigint, true, count(tenant), "
        "coalesce(sum(n) FILTER (WHERE tenant IS NULL), 0)::bigint "
        "FROM (SELECT {} AS tenant, count(*) AS n FROM {} AS t{} GROUP BY 1) AS counted"
    ).format(chain.tenant, _relation(name), chain.joins)


def _compared(name: str, chains: Sequence[_Chain]) -> sql.Composed:
    first, *others = (sql.SQL("{}::text").format(chain.tenant) for chain in chains)
    differ = sql.SQL(" OR ").join(sql.SQL("{} IS DISTINCT FROM {}").format(first, other) for other in others)
    joins = sql.Composed([chain.joins for chain in chains])
    return sql.SQL("SELECT count(*), count(*) FILTER (WHERE {}) FROM {} AS t{}").format(differ, _relation(name), joins)


def _leads(ways: Mapping[str, Way], way: Way) -> bool:
    """Whether a way reaches a tenant through decided tables only."""
    while isinstance(way, Parent):
        way = ways[way.parent]
    return not isinstance(way, Undecided | Shared)


def _relation(name: str) -> sql.Identifier:
    schema, _, own = name.partition(".")
    return sql.Identifier(schema, own)
