"""The doctor's report for a person: group by group while it is made, then what failed, notices and a summary."""

import textwrap
from collections.abc import Iterator
from typing import Final

from rich.console import Console

from server.doctor.report import Check, Proved, Report
from server.doctor.watch import Watch
from server.progress import Progress
from server.terminal import has_marks, put, visible

# The names of checks fit into this column; on a narrower screen each sentence is below its name.
_NAME: Final = 31
_WIDE: Final = 72
Part = str | tuple[str, str]


class View(Watch):
    """Prints each group when it is complete; with `quiet`, only the end of the report."""

    def __init__(self, console: Console, shown: Progress, *, width: int | None, quiet: bool = False) -> None:
        """Print to `console`, `width` columns or whole lines; `shown` is the progress, which is paused meanwhile."""
        self._console: Final = console
        self._width: Final = width
        self._shown: Final = shown
        self._quiet: Final = quiet
        self._good, self._bad = ("✓", "✗") if has_marks(console) else ("ok  ", "FAIL")
        self._group = ""
        self._checks: list[Check] = []
        self._relations: list[Proved] = []

    def begins(self, group: str) -> None:
        """Print the group before this one."""
        self._end()
        self._group = group
        self._shown.step(group)

    def looks_at(self, what: str) -> None:
        """Name it in the progress."""
        self._shown.step(f"{self._group}: {what}")

    def checked(self, check: Check) -> None:
        """Keep the check for its group."""
        self._checks.append(check)

    def proved(self, one: Proved) -> None:
        """Keep the relation for its group."""
        self._relations.append(one)

    def finish(self, report: Report, duration_s: float) -> None:
        """Print the last group, what failed, the notices and the summary."""
        self._end()
        with self._shown.paused():
            self._failures(report)
            self._notices(report)
            self._summary(report, duration_s)

    def _end(self) -> None:
        checks, relations = self._checks, self._relations
        self._checks, self._relations = [], []
        if self._quiet or not checks:
            return
        with self._shown.paused():
            put(self._console, *self._heading(checks, len(relations)))
            for check in checks:
                self._line(check.name, check.purpose, holds=check.holds)
            for one in relations:
                self._line(one.relation, one.sentence, holds=True)
            put(self._console)

    def _heading(self, checks: list[Check], relations: int) -> Iterator[Part]:
        failed = sum(not check.holds for check in checks)
        yield self._group, "bold"
        yield f"  {len(checks) - failed} passed", "green"
        if failed:
            yield f", {failed} FAILED", "bold red"
        if relations:
            yield f", {relations} proved", "green"
        yield f"  {sum(check.duration_s for check in checks):.2f} s", "dim"

    def _line(self, name: str, sentence: str, *, holds: bool) -> None:
        style = "green" if holds else "bold red"
        mark = (f"  {self._good if holds else self._bad} ", style)
        named: Part = name if holds else (name, style)
        # Through a pipe, each result is one line.
        beside = self._width is None or (len(name) < _NAME and self._width >= _WIDE)
        indent = len(self._good) + 3 + (_NAME if beside else 2)
        lines = self._wrapped(sentence, indent)
        if beside:
            put(self._console, mark, named, " " * max(_NAME - len(name), 2), lines.pop(0))
        else:
            put(self._console, mark, named)
        for line in lines:
            put(self._console, " " * indent, line)

    def _wrapped(self, sentence: str, indent: int) -> list[str]:
        """Return the lines of a sentence that stands `indent` columns from the left; one line through a pipe."""
        sentence = visible(sentence)
        if self._width is None:
            return [sentence]
        return textwrap.wrap(sentence, max(self._width - indent, 16), break_on_hyphens=False) or [""]

    def _failures(self, report: Report) -> None:
        if not report.failed:
            return
        put(self._console, ("Failed", "bold red"))
        for check in report.failed:
            for one in check.offenders:
                # Not wrapped: people copy the remedy.
                put(self._console, (f"  {self._bad} ", "bold red"), f"{check.name}: {one.object}: {one.problem}")
                put(self._console, "    remedy: ", (one.remedy, "bold"))
        put(self._console)

    def _notices(self, report: Report) -> None:
        notices = [*report.notices, *(f"{name} is accepted, not proved" for name in report.accepted)]
        for notice in notices:
            put(self._console, ("notice: ", "yellow"), notice)
        if notices:
            put(self._console)

    def _summary(self, report: Report, duration_s: float) -> None:
        put(self._console, f"{report.headline}.")
        failed, all_ = len(report.failed), len(report.checks)
        if failed:
            put(self._console, (f"{failed} of {all_} checks failed", "bold red"), (f" in {duration_s:.2f} s", "dim"))
        else:
            put(self._console, (f"All {all_} checks passed", "bold green"), (f" in {duration_s:.2f} s", "dim"))
