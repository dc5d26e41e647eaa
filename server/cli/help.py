"""The help of verbs and groups: each text in full, on as many lines as it needs, on a narrow terminal too."""

import re
from functools import partial
from typing import Any, Final

from typer.core import TyperCommand, TyperGroup

# Names of options take at most this part of the line.
_PART: Final = 3
# The type that Typer adds to the name of an argument, which says what it is already.
_TYPE: Final = re.compile(r" <[^<>]*>$")


class Verb(TyperCommand):
    """Lists options with a column of names that leaves room for their texts."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the sections of the arguments and options."""
        formatter.write_dl = partial(_write, formatter.write_dl, formatter.width)
        super().format_options(ctx, formatter)


class WholeSummaries(TyperGroup):
    """Lists verbs with the first paragraph of their help; the default group cuts it at the end of the line."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the section of the verbs."""
        rows = [(name, _summary(verb)) for name in self.list_commands(ctx) if (verb := self.get_command(ctx, name))]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def _summary(verb: Any) -> str:
    return " ".join((verb.help or "").partition("\n\n")[0].split())


def _write(write: Any, width: int, rows: list[tuple[str, str]]) -> None:
    named = [(_TYPE.sub("", name), text) for name, text in rows]
    write(named, col_max=max(width // _PART, 10))
