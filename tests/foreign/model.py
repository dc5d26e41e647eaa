"""What a declared table's tools must answer, in plain Python over one tenant's rows: slow, simple, independent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any, Final

from foreign.days import bucket, days_of, parse_day
from foreign.values import FLOATS, TEXT_CHARACTERS, Kind, cut, exact, lower, moment_day, rank, shown

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
        value, column = table.value(row, sort), table.columns[sort]
        if value is not None and column["type"] == "text" and "max_length" in column and not table.kind(sort).labels:
            # What is shown of a text counts, so that a cursor has an end.
            value = value[: column["max_length"]]
        return (True, 0, keys) if value is None else (False, rank(value, table.kind(sort)), keys)

    return sorted(selected(table, arguments, today), key=order, reverse=descending)


def group_choices(table: DeclaredTable) -> dict[str, tuple[str, str | None]]:
    """Return the column, and the length of time if it is one, for each value of `group_by`.

    A length stands alone where one column alone has lengths, and else behind the name of its column.
    """
    several = sum(isinstance(column.get("group"), list) for column in table.columns.values()) > 1
    found: dict[str, tuple[str, str | None]] = {}
    for name, column in table.columns.items():
        if column.get("group") is True:
            found[name] = (name, "day" if column["type"] == "date" else None)
        else:
            found |= {f"{name}_{one}" if several else one: (name, one) for one in column.get("group") or ()}
    return found


def summary(table: DeclaredTable, arguments: Mapping[str, Any], today: date) -> dict[str, Any]:
    """Return the groups in the byte order of their keys, NULL last, and the totals over all."""
    found = selected(table, arguments, today)
    groups: dict[str | None, list[Row]] = {}
    for row in found:
        groups.setdefault(_key(table, row, arguments.get("group_by")), []).append(row)
    most = table.declared["summary"].get("max_groups", 500)
    keys = sorted(groups, key=lambda one: (one is None, (one or "").encode()))
    return {
        "groups": [
            {"key": one if one is None else cut(one, TEXT_CHARACTERS), **totals(table, groups[one])}
            for one in keys[:most]
        ],
        "more_groups": len(keys) > most,
        "total": totals(table, found),
    }


def _key(table: DeclaredTable, row: Row, group_by: str | None) -> str | None:
    if group_by is None:
        return "all"
    name, length = group_choices(table)[group_by]
    value = table.value(row, name)
    if value is None:
        return None
    if length is not None:
        return bucket(moment_day(value, table.kind(name), table.timezone), length)
    return value


def totals(table: DeclaredTable, rows: Sequence[Row]) -> dict[str, Any]:
    """Return the count and every declared measure of some rows; NULLs are left out."""
    answer: dict[str, Any] = {"count": len(rows)}
    for name, column in table.columns.items():
        values = [value for row in rows if (value := table.value(row, name)) is not None]
        for measure in column.get("measures", ()):
            answer[f"{measure}_{name}"] = _measure(measure, values, column["type"], table.kind(name))
    return answer


def _measure(measure: str, values: Sequence[str], declared: str, kind: Kind) -> int | str | None:
    numbers = [exact(one) for one in values]
    scale = kind.scale if declared == "decimal" and kind.name not in FLOATS else None
    if measure == "total":
        return _sum(numbers, declared, scale)
    if not values:
        return None
    if measure == "average":
        return _average(numbers, 6 if scale is None else scale)
    place = (max if measure == "largest" else min)(values, key=lambda one: rank(one, kind))
    return int(place) if declared == "integer" else place


def exact_sum(numbers: Sequence[Decimal]) -> Decimal:
    """Return the sum as PostgreSQL has it: any NaN, or both infinities, make it NaN."""
    if any(one.is_nan() for one in numbers):
        return Decimal("NaN")
    endless = {one for one in numbers if one.is_infinite()}
    if endless:
        return endless.pop() if len(endless) == 1 else Decimal("NaN")
    with localcontext(prec=2_000):
        return sum(numbers, Decimal(0))


def _sum(numbers: Sequence[Decimal], declared: str, scale: int | None) -> int | str:
    found = exact_sum(numbers)
    if declared == "integer":
        return int(found)
    if scale is None or not found.is_finite():
        return f"{found:f}"
    return rounded(found, scale)


def _average(numbers: Sequence[Decimal], digits: int) -> str:
    found = exact_sum(numbers)
    if not found.is_finite():
        return f"{found:f}"
    with localcontext(prec=2_000):
        return rounded(found / len(numbers), digits)


def rounded(value: Decimal, digits: int) -> str:
    """Return the text of a number, rounded half away from zero; zero has no sign."""
    with localcontext(prec=2_000):
        found = value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP)
    return f"{found or abs(found):f}"
