"""How a group of verbs lists them: each summary as a whole, on as many lines as it takes."""

from typing import Any

from typer.core import TyperGroup


class WholeSummaries(TyperGroup):
    """Lists verbs with the first paragraph of their help; the usual group cuts it where the line ends."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the section of the verbs."""
        rows = [(name, _summary(verb)) for name in self.list_commands(ctx) if (verb := self.get_command(ctx, name))]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def _summary(verb: Any) -> str:
    return " ".join((verb.help or "").partition("\n\n")[0].split())
