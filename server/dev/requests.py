"""The requests that `tenantgate dev` shows while it serves: one aligned line for each, as wide as the terminal."""

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from server.audit.trail import AuditTrail
from server.http.outcome import Outcome
from server.http.recorder import Recorder
from server.settings import Settings
from server.telemetry.telemetry import Telemetry
from server.terminal import has_marks, visible

Shown = Mapping[str, Any]
_GAP: Final = " "
_REFUSED: Final = 400
_BROKEN: Final = 500
# The fewest columns of the last one, the outcome.
_LEAST: Final = 8


class Column(NamedTuple):
    """A column of a line; numbers stand at its right edge."""

    name: str
    width: int
    style: str = ""
    is_number: bool = False


def _columns(person: int, tenant: int, tool: int) -> tuple[Column, ...]:
    return (
        Column("time", 8, "dim"),
        Column("person", person, "bold"),
        Column("tenant", tenant, "cyan"),
        Column("tool", tool),
        Column("rows", 5, is_number=True),
        Column("ms", 8, is_number=True),
    )


# From the widest to the narrowest, with the fewest columns of the terminal; a pipe gets the first one.
_LAYOUTS: Final = (
    (140, _columns(24, 24, 28)),
    (100, _columns(18, 14, 22)),
    (76, _columns(13, 9, 16)),
    (0, (Column("time", 8, "dim"), Column("person", 10, "bold"), Column("tool", 10))),
)


class ShowingRecorder(Recorder):
    """Records decisions as every server does, and hands each to `show` once its answer has left."""

    def __init__(
        self,
        settings: Settings,
        trail: AuditTrail | None = None,
        telemetry: Telemetry | None = None,
        *,
        show: Callable[[Shown], None],
    ) -> None:
        """Write to `trail` and `telemetry`; call `show` with the fields of each audit record."""
        super().__init__(settings, trail, telemetry)
        self._show: Final = show

    def log(self, line: Shown | None, outcome: Outcome, started: float) -> None:
        """Log the line, and show it."""
        super().log(line, outcome, started)
        if line is not None:
            ms = round((time.perf_counter() - started) * 1000, 2)
            self._show({**line, **outcome.decision.recorded_alone(), "ms": ms})

    def _counted(self, record: Shown) -> None:
        super()._counted(record)
        self._show(record)


class RequestLines:
    """Makes the lines; `people` gives the names of the subjects, and may grow."""

    def __init__(self, console: Console, people: Mapping[str, str], width: Callable[[], int | None]) -> None:
        """Style lines for `console`; `width` returns its columns now, None for a pipe."""
        self._console: Final = console
        self._people: Final = people
        self._width: Final = width
        self._cut: Final = "…" if has_marks(console) else "~"

    def heading(self) -> str:
        """Return the line with the names of the columns."""
        names = {column.name: column.name for column in self._layout()}
        return self._line(names, ("outcome", ""), "dim")

    def line(self, record: Shown) -> str:
        """Return the line of one request, or of refusals that were only counted."""
        tool = record.get("tool") or record.get("mcp_method") or record.get("method") or ""
        subject = record.get("subject")
        taken_ms = record.get("ms")
        cells = {
            "time": datetime.now().astimezone().strftime("%H:%M:%S"),
            "person": self._people.get(subject or "", subject or "nobody"),
            "tenant": record.get("tenant") or "",
            "tool": tool,
            "rows": _rows(record),
            "ms": "" if taken_ms is None else f"{taken_ms:.1f}",
        }
        return self._line(cells, _outcome(record, narrow=len(self._layout()) < len(cells)))

    def _layout(self) -> tuple[Column, ...]:
        width = self._width()
        return next(columns for least, columns in _LAYOUTS if width is None or width >= least)

    def _line(self, cells: Mapping[str, str], outcome: tuple[str, str], style: str | None = None) -> str:
        columns, width, line = self._layout(), self._width(), Text()
        for column in columns:
            cell = self._fitting(cells[column.name], column.width)
            padding = " " * (column.width - cell_len(cell))
            line.append(
                padding + cell if column.is_number else cell + padding, column.style if style is None else style
            )
            line.append(_GAP)
        text, tone = outcome
        left = None if width is None else max(width - line.cell_len, _LEAST)
        line.append(visible(text) if left is None else self._fitting(text, left), tone if style is None else style)
        line.rstrip()
        with self._console.capture() as captured:
            self._console.print(line, soft_wrap=True, end="")
        return captured.get()

    def _fitting(self, text: str, width: int) -> str:
        """Return the text without control characters, cut where it is too long."""
        clean = visible(text)
        return clean if cell_len(clean) <= width else set_cell_size(clean, width - 1) + self._cut


def _rows(record: Shown) -> str:
    """Return how many rows or passages were shown; nothing for a call that read none of either."""
    found = record.get("rows", record.get("passages"))
    return "" if found is None else str(found)


def _outcome(record: Shown, *, narrow: bool) -> tuple[str, str]:
    """Return what a request came to, and the style of that; a `narrow` line has the rows here."""
    if "count" in record:
        return f"{record['count']} more refused: {record.get('refused') or record.get('outcome') or ''}", "yellow"
    status = record.get("status") or 0
    outcome = record.get("outcome") or ("answered" if status < _REFUSED else "refused")
    if status >= _REFUSED:
        return f"{status} {record.get('refused') or outcome}", "red" if status >= _BROKEN else "yellow"
    if outcome != "answered":
        return outcome, "dim" if outcome == "cancelled" else "yellow"
    rows = _rows(record)
    return (f"{rows} row{'' if rows == '1' else 's'}" if narrow and rows else outcome), "green"
