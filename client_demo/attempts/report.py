"""What an attempt reports: for each run, the walls in order, what came back, and the records of its requests.

A wall is `stopped` or `passed` only after a measurement. It is `failed` when something of another tenant or tier came
through, and `unknown` when nothing could be measured; the page shows both as what they are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

State = Literal["passed", "stopped", "not_reached", "failed", "unknown"]
Name = Literal["gate", "tenant", "database", "documents"]
# Longer texts are cut for display; the comparison with what others own reads them whole.
_LONGEST_CELL: Final = 240
MOST_SHOWN: Final = 50


@dataclass(frozen=True, slots=True)
class Wall:
    """What one wall did, with one sentence of evidence."""

    name: Name
    state: State
    evidence: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows that came back, as texts."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def shown(self) -> dict[str, Any]:
        """Return the first rows, with long texts cut."""
        rows = [[_cut(cell) for cell in row] for row in self.rows[:MOST_SHOWN]]
        return {"columns": list(self.columns), "rows": rows, "all": len(self.rows)}


@dataclass(frozen=True, slots=True)
class Record:
    """One request in the audit trail and in the operator's log; None where it was not written separately."""

    request: str
    status: int
    audit: Mapping[str, Any] | None
    log: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Run:
    """One run of an attempt: `said` is what the caller received as text, `tables` the rows, `calls` the tool calls."""

    title: str
    how: str
    walls: Sequence[Wall]
    said: str = ""
    tables: Sequence[Table] = ()
    calls: Sequence[Mapping[str, Any]] = ()
    records: Sequence[Record] = ()

    @property
    def verdict(self) -> Literal["held", "failed", "unknown"]:
        """Whether the walls held: one that failed decides, then one that could not be measured."""
        states = {wall.state for wall in self.walls}
        return "failed" if "failed" in states else "unknown" if "unknown" in states else "held"

    def as_json(self) -> dict[str, Any]:
        """Return the form that the page reads."""
        return {
            "title": self.title,
            "how": self.how,
            "verdict": self.verdict,
            "walls": [{"name": wall.name, "state": wall.state, "evidence": wall.evidence} for wall in self.walls],
            "said": self.said,
            "tables": [table.shown() for table in self.tables],
            "calls": [dict(call) for call in self.calls],
            "records": [
                {"request": one.request, "status": one.status, "audit": one.audit, "log": one.log}
                for one in self.records
            ],
        }


def not_reached(*names: Name, evidence: str = "An earlier wall stopped the attempt.") -> list[Wall]:
    """Return walls that the attempt did not get to."""
    return [Wall(name, "not_reached", evidence) for name in names]


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_CELL else f"{text[:_LONGEST_CELL]} …"
