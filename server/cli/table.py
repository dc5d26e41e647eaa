"""Tables in a command's output, the same on a screen and in a pipe."""

from collections.abc import Sequence

import typer


def print_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print aligned columns, one line per row of any width: nothing is cut or wrapped."""
    from rich.cells import cell_len

    from server.terminal import visible

    lines = [headings, *([visible(cell) for cell in row] for row in rows)]
    widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (cell + " " * (width - cell_len(cell)) for cell, width in zip(line, widths, strict=True))
        typer.echo("  ".join(cells).rstrip())
