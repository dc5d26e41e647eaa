"""Declared roll-ups: one row per tenant, day and group, from which summaries are computed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

from server.catalog.columns import Bucket, Column
from server.catalog.declarations import Table
from server.catalog.object_names import object_name

DAY: Final = "rollup_day"
ROWS: Final = "rollup_rows"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured column by its declared name, and its columns in the roll-up; None for those not needed."""

    name: str
    total: str | None
    values: str | None
    largest: str | None
    smallest: str | None

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns that are needed."""
        return tuple(one for one in (self.total, self.values, self.largest, self.smallest) if one)


@dataclass(frozen=True, slots=True)
class Rollup:
    """The roll-up of one declared table.

    `moment` is the declared column with the day; `groups` are the declared columns that it groups by.
    """

    source: Table
    moment: str
    groups: tuple[str, ...]
    figures: tuple[Figure, ...]

    @property
    def name(self) -> str:
        """schema.table of the roll-up."""
        schema, _, table = self.source.name.partition(".")
        return f"{schema}.{object_name(table, 'by_day')}"

    @property
    def tenant(self) -> str:
        """The tenant column, which has the same name in the table and the roll-up."""
        return self.source.tenant_column or ""

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the roll-up, in their order."""
        groups = (self.source.column_of(name) for name in self.groups)
        figures = (column for figure in self.figures for column in figure.columns)
        return (self.tenant, DAY, *groups, ROWS, *figures)

    def answers(self, filters: Sequence[tuple[str, str]], group: tuple[str, Bucket | None] | None) -> bool:
        """Whether the roll-up can answer: filters and group use only whole days and its group columns."""
        by_day = all(
            (name == self.moment and how in {"from", "before"}) or (name in self.groups and how == "equals")
            for name, how in filters
        )
        return by_day and (group is None or group[0] == self.moment or group[0] in self.groups)

    def declared(self) -> Table:
        """Return the declaration of the roll-up as a table: it is checked like every other table, and has no tools."""
        columns: dict[str, Column] = {DAY: Column(type="date"), ROWS: Column(type="integer")}
        for name in self.groups:
            own = self.source.columns[name]
            columns[name] = Column(type=own.type, column=own.column)
        for figure in self.figures:
            kind = self.source.columns[figure.name].type
            columns |= {one: Column(type="decimal") for one in (figure.total,) if one}
            columns |= {one: Column(type="integer") for one in (figure.values,) if one}
            columns |= {one: Column(type=kind) for one in (figure.largest, figure.smallest) if one}
        return Table(name=self.name, tenant=self.tenant, scope=self.source.scope, columns=columns)


def rollup_of(table: Table) -> Rollup | None:
    """Return the roll-up that a table declares, or None."""
    if table.summary is None or table.summary.rollup is None or table.tenant_column is None:
        return None
    moment = next((name for name, column in table.columns.items() if column.period), None)
    if moment is None:
        return None
    measured = [(name, column) for name, column in table.columns.items() if column.measures]
    groups = tuple(name for name, column in table.columns.items() if _has_few(column))
    return Rollup(table, moment, groups, tuple(_figure(name, column) for name, column in measured))


def with_rollups(tables: Mapping[str, Table]) -> dict[str, Table]:
    """Return the declared tables and the roll-ups that they declare."""
    rollups = [rollup.declared() for table in tables.values() if (rollup := rollup_of(table))]
    return {**tables, **{one.name: one for one in rollups}}


def rollups_in(tables: Mapping[str, Table]) -> dict[str, Rollup]:
    """Return the roll-ups of the declared tables, by the roll-ups' names."""
    return {rollup.name: rollup for table in tables.values() if (rollup := rollup_of(table))}


def rollup_problems(table: Table, names: Sequence[str]) -> Iterator[str]:
    """Yield the problems of a declared roll-up; `names` are the names of all declared tables."""
    if table.summary is None or table.summary.rollup is None:
        return
    if table.tenant_column is None:
        yield "summary.rollup: only a table with a tenant column of its own can have a roll-up; remove it"
        return
    rollup = rollup_of(table)
    if rollup is None:
        yield 'summary.rollup: its days are those of the column with period = true; declare one (filter = "range")'
        return
    if rollup.name in names:
        yield f"summary.rollup: its table would be {rollup.name}, which is declared; rename one of the two"
    if len(set(rollup.columns)) < len(rollup.columns) or len({*rollup.declared().columns}) + 1 < len(rollup.columns):
        yield "summary.rollup: two of its columns would have the same name; rename one that begins with rollup_"


def is_one_moment(day: str, zone: ZoneInfo) -> bool:
    """Whether the day begins at exactly one time in this zone; not if clocks change at midnight.

    `day` is YYYY-MM-DD, or the day after date.max.
    """
    if len(day) > len("YYYY-MM-DD"):
        return True
    midnight = datetime.combine(date.fromisoformat(day), time(), zone)
    return midnight.utcoffset() == midnight.replace(fold=1).utcoffset()


def _has_few(column: Column) -> bool:
    """Whether a column has few values, so that a roll-up has far fewer rows than the table."""
    return column.group is True and (column.type == "boolean" or (column.type == "text" and bool(column.values)))


def _figure(name: str, column: Column) -> Figure:
    def named(what: str) -> str:
        return object_name("rollup", what, name)

    wanted = set(column.measures)
    return Figure(
        name,
        named("total") if wanted & {"total", "average"} else None,
        named("values") if "average" in wanted else None,
        named("largest") if "largest" in wanted else None,
        named("smallest") if "smallest" in wanted else None,
    )
