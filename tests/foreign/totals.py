"""What a declared table's summary tool must answer, in plain Python over one tenant's rows."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from foreign.days import bucket
from foreign.model import DeclaredTable, Row, selected
from foreign.values import FLOATS, TEXT_CHARACTERS, Kind, cut, exact, moment_day, rank


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
