"""The filters that the listing and the summary tool of a table share: their arguments, and the resulting conditions."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final, cast

from pydantic_core import CoreSchema

from server.catalog import schema
from server.catalog.columns import Column
from server.catalog.compile import Filter
from server.catalog.declarations import Table
from server.catalog.periods import PERIODS, Period, resolve
from server.catalog.schema import Argument
from server.catalog.texts import titled
from server.errors import ArgumentsError

_FILTER_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class Filtered:
    """The conditions of one call: the filters with their values, and the days that are searched.

    `days` has `<name>_from` and `<name>_to` for every range of days, None for no limit, as in the answer.
    """

    filters: tuple[Filter, ...]
    values: tuple[str, ...]
    days: Mapping[str, str | None] = field(default_factory=dict[str, str | None])


class Filters:
    """The filter arguments of one declared table."""

    def __init__(self, table: Table) -> None:
        """Read the declaration once."""
        self._table: Final = table
        self._ranges: Final = {
            name: stem(name)
            for name, column in table.columns.items()
            if column.filter == "range" and column.type in {"date", "timestamp"}
        }
        self._numbers: Final = [
            name for name, column in table.columns.items() if column.filter == "range" and name not in self._ranges
        ]
        plain = [name for name, column in table.columns.items() if column.filter is True]
        # Columns with few values come first: a model uses those correctly.
        self._equal: Final = sorted(plain, key=lambda name: not _has_few_values(table.columns[name]))
        self._contained: Final = [name for name, column in table.columns.items() if column.filter == "contains"]
        # The filters whose value is compared unchanged, by the name of their argument.
        self._plain: Final[list[tuple[str, Filter]]] = [
            *((name, (name, "equals")) for name in self._equal),
            *((name, (name, "contains")) for name in self._contained),
        ]
        self._period: Final = next((name for name, column in table.columns.items() if column.period), None)

    @property
    def day_names(self) -> tuple[str, ...]:
        """The names under which an answer shows the days that were searched."""
        return tuple(f"{stem}_{end}" for stem in self._ranges.values() for end in ("from", "to"))

    def arguments(self) -> list[Argument]:
        """Return the arguments, all optional; a row must match all those given."""
        columns = self._table.columns
        found = [Argument(name, _equals(columns[name]), _text_of(name, columns[name])) for name in self._equal]
        for name in self._contained:
            kind = schema.text(_FILTER_CHARACTERS)
            found.append(
                Argument(name, kind, columns[name].filter_description or f"Part of {name}, in any letter case.")
            )
        if self._period:
            stem_ = self._ranges[self._period]
            days = f"Days of {self._period}, in {self._table.timezone}; weeks run from Monday."
            text = columns[self._period].filter_description or days
            found.append(
                Argument("period", schema.one_of(PERIODS), f"{text} Not together with {stem_}_from or {stem_}_to.")
            )
        for stem_ in self._ranges.values():
            for end, word in (("from", "later"), ("to", "earlier")):
                text = f"{titled(stem_)} on this day (YYYY-MM-DD, {self._table.timezone}) or {word}."
                found.append(Argument(f"{stem_}_{end}", schema.SCALARS["date"](), text))
        for name in self._numbers:
            column = columns[name]
            text = column.filter_description or name
            for end, word in (("min", "at least"), ("max", "at most")):
                found.append(Argument(f"{end}_{name}", _number(column), f"{text} of {word} this."))
        return found

    def read(self, arguments: Mapping[str, Any], today: date) -> Filtered:
        """Return the conditions of these arguments; raises ArgumentsError when they contradict each other."""
        given = [(asked, value) for name, asked in self._plain if (value := arguments[name]) is not None]
        shown: dict[str, str | None] = {}
        for name, stem_ in self._ranges.items():
            first, last = self._days(name, arguments, today)
            shown[f"{stem_}_from"] = first.isoformat() if first else None
            shown[f"{stem_}_to"] = last.isoformat() if last else None
            if first:
                given.append(((name, "from"), first))
            if last:
                # The day after is excluded, so the whole last day counts.
                given.append(((name, "before"), _day_after(last)))
        for name in self._numbers:
            least, most = arguments[f"min_{name}"], arguments[f"max_{name}"]
            if least is not None:
                if most is not None and least > most:
                    raise ArgumentsError(f"min_{name} is larger than max_{name}; swap them. Nothing was read.")
                given.append(((name, "at_least"), least))
            if most is not None:
                given.append(((name, "at_most"), most))
        return Filtered(tuple(asked for asked, _ in given), tuple(bound(value) for _, value in given), shown)

    def _days(self, name: str, arguments: Mapping[str, Any], today: date) -> tuple[date | None, date | None]:
        stem_ = self._ranges[name]
        first: date | None = arguments[f"{stem_}_from"]
        last: date | None = arguments[f"{stem_}_to"]
        period = cast("Period | None", arguments["period"]) if name == self._period else None
        if period:
            if first or last:
                raise ArgumentsError(f"Give either period or {stem_}_from and {stem_}_to, not both; nothing was read.")
            first, last = resolve(period, today)
        if first and last and first > last:
            raise ArgumentsError(f"{stem_}_from is later than {stem_}_to; swap them. Nothing was read.")
        return first, last


def stem(name: str) -> str:
    """Return the name to which `_from` and `_to` are added: `placed` for `placed_at` and `placed_on`."""
    return name[:-3] if name.endswith(("_at", "_on")) and len(name) > len("_at") else name


def _day_after(day: date) -> str:
    """Return the next day as text for PostgreSQL, which also accepts years after 9999."""
    return (day + timedelta(days=1)).isoformat() if day < date.max else "10000-01-01"


def bound(value: object) -> str:
    """Return a value as text for PostgreSQL: every parameter is sent as text, and PostgreSQL converts it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _has_few_values(column: Column) -> bool:
    return bool(column.values) or column.type == "boolean"


def _equals(column: Column) -> CoreSchema:
    if column.values:
        return schema.one_of(column.values)
    match column.type:
        case "text":
            return schema.text(column.max_length or _FILTER_CHARACTERS)
        case "integer" | "decimal":
            return _number(column)
        case kind:
            return schema.SCALARS[kind]()


def _number(column: Column) -> CoreSchema:
    if column.type == "integer":
        return schema.integer(column.minimum, column.maximum)
    return schema.decimal(column.minimum, column.maximum, column.decimals)


def _text_of(name: str, column: Column) -> str:
    return column.filter_description or f"Only rows with this {name}."
