"""Random arguments of a declared table's tools; many of them meet a row, and none contradict each other."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from foreign.days import PERIODS, show_day
from foreign.model import DeclaredTable, bounds_of
from foreign.totals import group_choices
from foreign.values import moment_day
from foreign.words import Chance

# What the server accepts in an argument: no control characters, nothing that turns a line around.
_PRINTABLE: Final = re.compile("[^\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")
# The days that Python, and so an argument, can name.
_PYTHON_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_FILTER_CHARACTERS: Final = 200
_PARTS: Final = [
    *("ann", "SMITH", "%", "_", "\\", "'", '"', "i", "I", "İ", "ß", "σ", "Σ", "ł", "é", "太", "😀", "x", "-", "$1"),  # noqa: RUF001
]
_DAYS: Final = [
    "0001-01-01",
    "2000-01-01",
    "2025-12-28",
    "2025-12-29",
    "2026-01-05",
    "2026-02-01",
    "9999-12-30",
    "9999-12-31",
]
_NUMBERS: Final[Mapping[str, list[Any]]] = {
    "integer": [0, 1, -1, 2**31, -(2**31) - 1, 2**53 + 1, 2**63 - 1, -(2**63), 42],
    "decimal": ["0", "0.1", "-0.5", "1.50", "12.3456", "1e30", "-1e400", "0.7", 2, 99999999999999999999],
}


def random_filters(chance: Chance, table: DeclaredTable, often: float = 0.15) -> dict[str, Any]:
    """Return filters, each as often as `often` says."""
    given: dict[str, Any] = {}
    for name, column in table.columns.items():
        if column.get("filter") and chance.random() < often:
            given |= _filter(chance, table, name, column)
    return given


def random_order(chance: Chance, table: DeclaredTable) -> dict[str, Any]:
    """Return an order: one of every column that can be sorted by, or the declared one."""
    sorts = [name for name, column in table.columns.items() if column.get("sort")]
    given = {"sort": chance.choice(sorts)} if sorts and chance.random() < 0.9 else {}
    return given | chance.choice([{}, {"descending": True}, {"descending": False}])


def random_group(chance: Chance, table: DeclaredTable) -> dict[str, Any]:
    """Return one of the ways to group, or none."""
    group = chance.one([*group_choices(table)], 0.1) if group_choices(table) else None
    return {"group_by": group} if group else {}


def _filter(chance: Chance, table: DeclaredTable, name: str, column: Mapping[str, Any]) -> dict[str, Any]:
    if column["filter"] == "range":
        return _range(chance, table, name, column)
    if column["filter"] == "contains":
        texts = [text for row in table.rows if (text := table.value(row, name))]
        text = _accepted(chance.choice([*_PARTS, *([_part(chance, chance.choice(texts))] if texts else [])]), 200)
        return {name: chance.choice([text, text.upper(), f" {text} "])} if text else {}
    value = _equal(chance, table, name, column)
    return {} if value is None else {name: value}


def _part(chance: Chance, text: str) -> str:
    start = chance.randrange(len(text))
    return text[start : start + chance.choice([1, 3, 8])]


def _accepted(text: str, longest: int) -> str | None:
    text = text.strip()
    return text if _PRINTABLE.fullmatch(text) and len(text) <= longest else None


def _equal(chance: Chance, table: DeclaredTable, name: str, column: Mapping[str, Any]) -> Any:
    known = [value for row in table.rows if (value := table.value(row, name)) is not None]
    value = chance.choice(known) if known and chance.random() < 0.8 else None
    if column.get("values"):
        return value if value in column["values"] else chance.choice(column["values"])
    match column["type"]:
        case "boolean":
            return chance.choice([True, False])
        case "text":
            return _accepted(value or "nobody", min(column.get("max_length", _FILTER_CHARACTERS), 100_000))
        case "uuid":
            return chance.choice([str.upper, str.lower])(value or chance.identifier())
        case "timestamp":
            return _python_moment(value or "2026-01-05 00:00:00")
        case "date":
            return value if value and _PYTHON_DAY.fullmatch(value) else chance.choice(_DAYS)
        case kind:
            numbers = _within(column, [int(value) if kind == "integer" else value] if value else _NUMBERS[kind])
            return chance.choice(numbers) if numbers else None


def _python_moment(text: str) -> str | None:
    """Return a moment as an argument, with its offset from UTC, if Python can name it."""
    if not re.match(r"\d{4}-", text) or text.endswith("BC"):
        return None
    return text.removesuffix("+00").replace(" ", "T") + "Z"


def _range(chance: Chance, table: DeclaredTable, name: str, column: Mapping[str, Any]) -> dict[str, Any]:
    known = [value for row in table.rows if (value := table.value(row, name)) is not None]
    chosen = [chance.choice(known) for _ in range(2)] if known else []
    low, high = bounds_of(name, column)
    if column["type"] in {"date", "timestamp"}:
        if column.get("period") and chance.random() < 0.4:
            return {"period": chance.choice(PERIODS)}
        days = [moment_day(one, table.kind(name), table.timezone) for one in chosen]
        ends: list[Any] = sorted([*_python_days_of(days), *chance.sample(_DAYS, 2)])
    else:
        numbers = [int(one) if column["type"] == "integer" else one for one in chosen]
        ends = sorted(_within(column, [*numbers, *chance.sample(_NUMBERS[column["type"]], 2)]), key=Decimal)
    if not ends:
        return {}
    first, last = sorted([chance.randrange(len(ends)), chance.randrange(len(ends))])
    both = {low: ends[first], high: ends[last]}
    return chance.choice([both, {low: ends[first]}, {high: ends[last]}])


def _within(column: Mapping[str, Any], numbers: list[Any]) -> list[Any]:
    """Return the numbers that the filter of a column accepts."""
    places = column.get("decimals", 1_000)
    return [
        one
        for one in numbers
        if Decimal(one).is_finite()
        and Decimal(column.get("minimum", "-Infinity")) <= Decimal(one) <= Decimal(column.get("maximum", "Infinity"))
        and -int(Decimal(one).as_tuple().exponent) <= places
        and (not Decimal(one) or -100 < Decimal(one).adjusted() < 100)
        and -int(Decimal(one).as_tuple().exponent) <= 100
    ]


def _python_days_of(days: list[Any]) -> list[str]:
    """Return those of the days that an argument can name."""
    return [text for day in days if _PYTHON_DAY.fullmatch(text := show_day(day))]
