"""A text of SQL statements with comments that explain them, for a person who reads it before running it."""

from textwrap import wrap
from typing import Final, LiteralString, cast

from psycopg import sql

from server.catalog.object_names import object_name as object_name  # noqa: PLC0414  # offered here too

_WIDTH: Final = 110


class Script:
    """Statements and comments, in the order of their addition."""

    def __init__(self) -> None:
        """Start empty."""
        self._lines: list[str] = []

    def say(self, text: str) -> None:
        """Add a comment."""
        # A name may contain a line break, and the text after it would run. So each line becomes a comment.
        for line in wrap(" ".join(text.split()), _WIDTH):
            self._lines.append(f"-- {line}")

    def suggest(self, statement: sql.Composable) -> None:
        """Add a statement as a comment; it runs only if a person removes the comment sign."""
        self._lines += [f"--   {line}" for line in f"{statement.as_string()};".splitlines()]

    def run(self, statement: sql.Composable) -> None:
        """Add a statement."""
        self._lines.append(f"{statement.as_string()};")

    def gap(self) -> None:
        """Add an empty line."""
        if self._lines and self._lines[-1]:
            self._lines.append("")

    def add(self, text: str) -> None:
        """Add the text of another script."""
        self._lines += text.splitlines()

    def begin(self) -> None:
        """Open the transaction that protects one relation."""
        self.run(sql.SQL("BEGIN"))
        self.say(
            "The locks are held for a few milliseconds. If a busy table does not give them within this time, nothing "
            "is changed, and nobody waits any longer: run it again."
        )
        self.run(sql.SQL("SET LOCAL lock_timeout = '300ms'"))
        self.say("So that no other schema can offer an operator or a function under the same name.")
        self.run(sql.SQL("SET LOCAL search_path = pg_catalog"))

    def text(self) -> str:
        """Return everything, ending with a line break."""
        return "\n".join(self._lines) + "\n"


def listed(names: tuple[str, ...] | list[str]) -> sql.Composed:
    """Return names as identifiers with commas."""
    return sql.SQL(", ").join(sql.Identifier(name) for name in names)


def block(body: sql.Composable) -> sql.Composed:
    """Return `body` between dollar quotes that do not occur in it."""
    text, tag = body.as_string(), "$body$"
    while tag in text:
        tag = f"{tag[:-1]}_$"
    quote = sql.SQL(cast("LiteralString", tag))
    return sql.Composed([quote, body, quote])
