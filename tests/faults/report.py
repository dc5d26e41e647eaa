"""The result of a run as a table that can be read when it is piped, too."""

from collections.abc import Sequence

from faults.run import Row
from rich.console import Console
from rich.table import Table


def show(rows: Sequence[Row], console: Console) -> None:
    """Print a line for each fault, and below it what does not hold."""
    table = Table("fault", "answered", "error", "lost", "recovered after", "holds")
    for row in rows:
        verdict = "not run" if row.not_run else "NO" if row.problems else "yes"
        figures = [str(row.good), str(row.failed), str(row.lost), f"{row.recovery_s:.1f} s"]
        table.add_row(f"{row.group}: {row.name}", *(["-"] * 4 if row.not_run else figures), verdict)
    console.print(table)
    for row in rows:
        for problem in row.problems:
            console.print(f"{row.group}: {row.name}: {problem}", highlight=False, soft_wrap=True)
        if row.not_run:
            console.print(f"{row.group}: {row.name} was not run: {row.not_run}", highlight=False, soft_wrap=True)
