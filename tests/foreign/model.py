"""What a declared table's tools must answer, in plain Python over one tenant's rows: slow, simple, independent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from foreign.days import days_of, parse_day
from foreign.values import Kind, lower, moment_day, rank, shown

Row = Mapping[str, Any]
_MOMENTS: Final = {"date", "timestamp"}


@dataclass(frozen=True)
class DeclaredTable:
    """A declaration as TOML has it, the types of the columns, the key, and one tenant's rows as texts."""

    declared: Mapping[str, Any]
    kinds: Mapping[str, Kind]
    key: Sequence[str]
    rows: Sequence[Row]

    @property
    def columns(self) -> Mapping[str, Mapping[str, Any]]:
        """The declared columns by the name that a model reads."""
        return self.declared["columns"]

    @property
    def timezone(self) -> str:
        """Where days begin, for timestamps with a time zone."""
        return self.declared.get("timezone", "UTC")

    def source(self, name: str) -> str:
        """Return the database's name of a declared column."""
        return self.columns[name].get("column", name)

    def kind(self, name: str) -> Kind:
        """Return the type of a declared column."""
        return self.kinds[self.source(name)]

    def value(self, row: Row, name: str) -> Any:
        """Return a row's value of a declared column."""
        return row[self.source(name)]


def bounds_of(name: str, column: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names of the two arguments of a filter by range."""
    if column["type"] in _MOMENTS:
        base = name[:-3] if name.endswith(("_at", "_on")) else name
        return f"{base}_from", f"{base}_to"
    return f"min_{name}", f"max_{name}"


def searched(table: DeclaredTable, arguments: Mapping[str, Any], today: date) -> dict[str, str | None]:
    """Return the days that an answer names as searched, for every range of days."""
    found: dict[str, str | None] = {}
    for name, column in table.columns.items():
        if column.get("filter") == "range" and column["type"] in _MOMENTS:
            first, last = bounds_of(name, column)
            days: tuple[Any, Any] = (arguments.get(first), arguments.get(last))
            if column.get("period") and "period" in arguments:
                start, end = days_of(arguments["period"], today)
                days = (start.isoformat(), end.isoformat())
            found |= {first: days[0], last: days[1]}
    return found


def selected(table: DeclaredTable, arguments: Mapping[str, Any], today: date) -> list[Row]:
    """Return the rows that meet every filter; a NULL meets none."""
    return [
        row
        for row in table.rows
        if all(_meets(table, row, name, column, arguments, today) for name, column in table.columns.items())
    ]


def _meets(
    table: DeclaredTable, row: Row, name: str, column: Mapping[str, Any], arguments: Mapping[str, Any], today: date
) -> bool:
    value, kind = table.value(row, name), table.kind(name)
    low: Any
    high: Any
    match column.get("filter"):
        case True:
            wanted = arguments.get(name)
            return wanted is None or (value is not None and rank(value, kind) == rank(_text(wanted), kind))
        case "contains":
            wanted = arguments.get(name)
            return wanted is None or (value is not None and lower(wanted.strip()) in lower(value))
        case "range" if column["type"] in _MOMENTS:
            days = searched(table, arguments, today)
            low, high = (days[one] for one in bounds_of(name, column))
            day = None if value is None else moment_day(value, kind, table.timezone)
            return (low is None or (day is not None and day >= parse_day(low))) and (
                high is None or (day is not None and day <= parse_day(high))
            )
        case "range":
            low, high = (arguments.get(one) for one in bounds_of(name, column))
            return (low is None or (value is not None and rank(value, kind) >= rank(_text(low), kind))) and (
                high is None or (value is not None and rank(value, kind) <= rank(_text(high), kind))
            )
        case _:
            return True


def _text(argument: Any) -> str:
    """Return an argument as PostgreSQL would write it."""
    return str(argument).lower() if isinstance(argument, bool) else str(argument).strip()


def listing(table: DeclaredTable, arguments: Mapping[str, Any], today: date) -> list[dict[str, Any]]:
    """Return all rows as they are shown, over all pages."""
    return [
        {name: shown(table.value(row, name), column) for name, column in table.columns.items()}
        for row in ordered(table, arguments, today)
    ]


def ordered(table: DeclaredTable, arguments: Mapping[str, Any], today: date) -> list[Row]:
    """Return all rows that are asked for: NULL last ascending, first descending, ties in the order of the key."""
    declared = table.declared["list"].get("sort", "")
    sort = arguments.get("sort", declared.removeprefix("-"))
    descending = arguments.get("descending", declared.startswith("-"))

    def order(row: Row) -> Any:
        keys = tuple(rank(row[one], table.kinds[one]) for one in table.key)
        if not sort:
            return keys
        value, column, kind = table.value(row, sort), table.columns[sort], table.kind(sort)
        if value is not None and column["type"] == "text" and "max_length" in column and not kind.labels:
            # What is shown of a text counts, so that a cursor has an end.
            value, kind = value[: column["max_length"]], Kind("text")
        return (True, 0, keys) if value is None else (False, rank(value, kind), keys)

    return sorted(selected(table, arguments, today), key=order, reverse=descending)
