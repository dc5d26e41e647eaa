"""The list of a group's verbs, with each summary in full, on as many lines as it needs."""

from typing import Any

from typer.core import TyperGroup


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
