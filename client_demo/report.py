"""The demo's output: two tables and a verdict, readable on a terminal and through a pipe."""

import json
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from client_demo.demo import Answered
from client_demo.scenario import INTRUDER

# Six columns need this width; a narrower screen gets the same cells stacked in three columns.
_WIDE_COLUMNS = 130


def print_answers(console: Console, answers: Sequence[Answered]) -> None:
    """Print who asked what, which tool was called, and the whole answer."""
    if console.width >= _WIDE_COLUMNS:
        table = _table("person", "tenant", "tier", "question", "tool called", "answer")
    else:
        table = _table("person, tenant, tier", "question, tool called", "answer")
    person = ""
    for answered in answers:
        question = answered.question
        if person not in {"", question.person}:
            table.add_section()
        person = question.person
        who = (person, answered.tenant or "no tenant", answered.tier or "no tier")
        asked = (question.text, answered.tool or "none")
        cells = (*who, *asked) if console.width >= _WIDE_COLUMNS else ("\n".join(who), "\n→ ".join(asked))
        # As plain text, because a tool's result must not be read as markup.
        table.add_row(*map(Text, cells), Text(answered.answer))
    console.print(table)


def print_attempts(console: Console, attempts: Sequence[Answered]) -> None:
    """Print what was tried across the boundary, the model's call for it, and the result."""
    console.print(f"{INTRUDER} tries to read the claims of broker-b:", highlight=False)
    table = _table("attempt", "call sent", "what came back")
    for attempt in attempts:
        asked = attempt.question
        tried = f"{asked.text}\n({asked.note})" if asked.note else asked.text
        sent = "\n".join(f"{call.name}\n{json.dumps(call.arguments)}" for call in attempt.calls) or "none"
        table.add_row(Text(tried), Text(sent), Text(attempt.answer))
        table.add_section()
    console.print(table)


def print_verdict(console: Console, differences: Sequence[str], count: int) -> None:
    """Print the verdict in one line, or every difference."""
    if not differences:
        console.print(Text(f"All {count} answers are exactly as expected.", style="green"), soft_wrap=True)
    for difference in differences:
        console.print(Text(f"Not as expected: {difference}", style="red"), soft_wrap=True)


def _table(*columns: str) -> Table:
    table = Table(box=box.HORIZONTALS, pad_edge=False)
    for column in columns:
        # Wrapped, never cut.
        table.add_column(column, overflow="fold")
    return table
