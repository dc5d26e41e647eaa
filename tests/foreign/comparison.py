"""Calls of one tenant's tools, each compared with what the model says."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from foreign.model import DeclaredTable, listing, searched
from foreign.totals import summary
from foreign.values import shown
from foreign.words import Chance

Call = Callable[[str, dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Difference:
    """What was asked, expected and answered."""

    tenant: str
    tool: str
    arguments: Mapping[str, Any]
    expected: Any
    answered: Any


def shown_first(differences: Sequence[Difference]) -> str:
    """Return the number of differences, and the first of every tool as a text that a person can read."""
    firsts = {one.tool: one for one in reversed(differences)}
    lines = [
        f"{one.tool} {one.arguments} of {one.tenant!r}\n  expected {one.expected}\n  answered {one.answered}"
        for one in firsts.values()
    ]
    return f"{len(differences)} differences\n" + "\n".join(lines)


@dataclass
class Comparison:
    """Calls as one tenant and gathers the differences."""

    call: Call
    tenant: str
    chance: Chance
    differences: list[Difference] = field(default_factory=list[Difference])
    calls: int = 0

    def answer(self, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the answer of one call."""
        self.calls += 1
        return self.call(tool, arguments)

    def list_all(self, table: DeclaredTable, arguments: dict[str, Any], limits: list[int] | None = None) -> None:
        """Compare all pages of a listing, each of a random size."""
        declared = table.declared["list"]
        name, most = table.declared.get("rows") or table.declared["name"].split(".")[1], declared.get("max_limit", 100)
        found: list[Any] = []
        cursor: str | None = None
        while True:
            limit = min(most, self.chance.choice(limits or [1, 2, 3, 7, 20, 59, 100]))
            answer = self.answer(
                declared["tool"], arguments | {"limit": limit} | ({"cursor": cursor} if cursor else {})
            )
            found += answer[name]
            cursor = answer["next_cursor"]
            if len(answer[name]) != limit and cursor is not None:
                self.differ(declared["tool"], arguments, f"{limit} rows", f"{len(answer[name])} rows and a cursor")
            if cursor is None or len(found) > 2 * len(table.rows):
                break
        today = self.today(table, answer)
        expected = {name: listing(table, arguments, today), **searched(table, arguments, today)}
        self.compare(declared["tool"], arguments, expected, {**answer, name: found})

    def summarize(self, table: DeclaredTable, arguments: dict[str, Any]) -> None:
        """Compare one summary."""
        tool = table.declared["summary"]["tool"]
        answer = self.answer(tool, arguments)
        today = self.today(table, answer)
        expected = {**summary(table, arguments, today), **searched(table, arguments, today)}
        self.compare(tool, arguments, _normal(table, expected), _normal(table, answer))

    def run_sql(self, declared: Mapping[str, Any], arguments: dict[str, Any], rows: list[dict[str, Any]]) -> None:
        """Compare one answer of a SQL tool; `rows` are all that it should find."""
        most = declared.get("max_rows", 100)
        columns = declared["columns"].items()
        expected = {
            "rows": [{name: shown(_text(row[name]), column) for name, column in columns} for row in rows[:most]],
            "truncated": len(rows) > most,
        }
        self.compare(declared["name"], arguments, expected, self.answer(declared["name"], arguments))

    def today(self, table: DeclaredTable, answer: Mapping[str, Any]) -> date:
        """Return the day that the answer was made, which is today in the table's time zone."""
        found = date.fromisoformat(answer["as_of"])
        here = datetime.now(UTC).astimezone(ZoneInfo(table.timezone))
        assert found in {here.date(), (here - timedelta(minutes=1)).date()}
        return found

    def compare(self, tool: str, arguments: Mapping[str, Any], expected: Any, answered: Any) -> None:
        """Keep the first part that differs."""
        for name, value in expected.items():
            if name not in answered or answered[name] != value:
                self.differ(tool, arguments, *_first(name, value, answered.get(name)))
                return

    def differ(self, tool: str, arguments: Mapping[str, Any], expected: Any, answered: Any) -> None:
        """Keep one difference."""
        self.differences.append(Difference(self.tenant, tool, dict(arguments), expected, answered))


def _first(name: str, expected: Any, answered: Any) -> tuple[Any, Any]:
    """Return the first element, or the first value of it, where two values differ."""
    if isinstance(expected, list) and isinstance(answered, list):
        for place, (left, right) in enumerate(zip(expected, answered, strict=False)):
            if left != right:
                return _first(f"{name}[{place}]", left, right)
        return f"{name}: {len(expected)} elements", f"{len(answered)} elements"
    if isinstance(expected, dict) and isinstance(answered, dict):
        for key in expected:
            if key not in answered or expected[key] != answered[key]:
                return _first(f"{name}.{key}", expected[key], answered.get(key, "(missing)"))
        return f"{name}: {list(expected)}", list(answered)
    return f"{name}: {expected!r}", repr(answered)


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, int) else value


def _normal(table: DeclaredTable, answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return a summary in which 1.5 and 1.50, of a column without a scale, are the same largest value."""
    loose = {
        f"{measure}_{name}"
        for name, column in table.columns.items()
        for measure in ("largest", "smallest")
        if column["type"] == "decimal" and table.kind(name).scale is None
    }

    def normal(totals: Mapping[str, Any]) -> dict[str, Any]:
        return {name: _number(value) if name in loose else value for name, value in totals.items()}

    return {**answer, "groups": [normal(one) for one in answer["groups"]], "total": normal(answer["total"])}


def _number(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    number = Decimal(value)
    return str(number) if not number.is_finite() else str(number.normalize() or 0)
