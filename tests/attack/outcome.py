"""What an attack came to, and the table that is printed of all."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table

from attack.target import Target

_SHOWN: Final = 8
_LONGEST: Final = 300


@dataclass(frozen=True)
class Result:
    """How many requests were sent, and what was found; `missed` names holes of a control that should have been."""

    sent: int
    found: tuple[str, ...] = ()
    missed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Attack:
    """One tool against the server, and the same tool against a server with a hole, its control."""

    # As ARGS="--only NAME" takes it.
    name: str
    # What is sent.
    what: str
    # Names what has to be installed, or nothing.
    missing: Callable[[], str]
    run: Callable[[Target], Result]
    control: Callable[[Target], Result]


@dataclass(frozen=True)
class Row:
    """One attack and its control, over."""

    attack: Attack
    missing: str
    result: Result | None = None
    control: Result | None = None
    seconds: float = 0

    @property
    def is_passed(self) -> bool:
        """Whether requests were sent and nothing was found, and the control found each of its holes."""
        if self.result is None or self.control is None:
            return False
        return bool(self.result.sent and not self.result.found and self.control.found and not self.control.missed)


def carried_out(attack: Attack, target: Target) -> Row:
    """Run an attack and its control, where the tool is there."""
    if missing := attack.missing():
        return Row(attack, missing)
    began = time.monotonic()
    result, control = attack.run(target), attack.control(target)
    return Row(attack, "", result, control, time.monotonic() - began)


def show(rows: Sequence[Row], console: Console) -> None:
    """Print one table, and below it what was found or not found in a control; plain text when piped."""
    table = Table("attack", "what is sent", "requests", "found", "control", "found", "seconds", "", title="Attacks")
    for row in rows:
        if row.result is None or row.control is None:
            table.add_row(row.attack.name, row.attack.what, *[""] * 5, f"not run: install {row.missing}")
            continue
        found = f"{len(row.control.found)} of {len(row.control.found) + len(row.control.missed)}"
        figures = (f"{row.result.sent:,}", str(len(row.result.found)), f"{row.control.sent:,}", found)
        table.add_row(
            row.attack.name, row.attack.what, *figures, f"{row.seconds:.0f}", "passed" if row.is_passed else "FAILED"
        )
    console.print(table)
    for row in rows:
        _tell(row, console)


def _tell(row: Row, console: Console) -> None:
    found = row.result.found if row.result else ()
    lines = [f"{row.attack.name} found: {one}" for one in found[:_SHOWN]]
    if len(found) > _SHOWN:
        lines.append(f"{row.attack.name} found {len(found) - _SHOWN} more")
    lines += [f"the control of {row.attack.name} missed: {one}" for one in (row.control.missed if row.control else ())]
    if row.result and not row.result.sent:
        lines.append(f"{row.attack.name} sent nothing")
    if row.control and not row.control.found and not row.control.missed:
        lines.append(f"the control of {row.attack.name} found nothing: the tool is silent")
    for line in lines:
        console.print(line[:_LONGEST], markup=False, highlight=False, style="red", soft_wrap=True)
