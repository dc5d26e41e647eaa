"""What a command prints: no control characters, colours on a terminal alone, and whole lines through a pipe."""

import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import Final

from rich.console import Console
from rich.text import Text

_UNKNOWN: Final = "\N{REPLACEMENT CHARACTER}"


def visible(text: str) -> str:
    """Return the text with a mark for each character that would move a cursor, break the line or reorder it."""
    return text if text.isprintable() else "".join(one if one.isprintable() else _UNKNOWN for one in text)


def screen(*, errors: bool = False) -> Console:
    """Return the console of standard output, or of standard error; it honours NO_COLOR and TERM=dumb.

    A character that the terminal's encoding does not have becomes a question mark instead of an error.
    """
    stream = sys.stderr if errors else sys.stdout
    if isinstance(stream, TextIOWrapper):
        with suppress(ValueError):  # it is closed
            stream.reconfigure(errors="replace")
    return Console(stderr=errors, highlight=False, markup=False, emoji=False)


def width_of(console: Console) -> int | None:
    """Return the columns of a terminal, None for a pipe, in which no line is wrapped or cut."""
    return console.width if console.file.isatty() else None


def put(console: Console, *parts: str | tuple[str, str]) -> None:
    """Print one line of parts, each a text or a text and its style; nothing is wrapped, so that it can be copied."""
    clean = [visible(one) if isinstance(one, str) else (visible(one[0]), one[1]) for one in parts]
    console.print(Text.assemble(*clean), soft_wrap=True)


def has_marks(console: Console) -> bool:
    """Whether the terminal's encoding has marks beyond ASCII."""
    return console.encoding.lower().startswith("utf")
