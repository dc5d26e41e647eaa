"""`tenantgate audit`: check the audit trail."""

from pathlib import Path
from typing import Annotated, Final

import typer

from server.cli.options import Config
from server.errors import StartupError

audit_cli: Final = typer.Typer(help="The audit trail.", no_args_is_help=True, rich_markup_mode=None)


# A group of one verb would lose its verb's name.
@audit_cli.callback()
def _group() -> None:
    pass


@audit_cli.command()
def verify(
    files: Annotated[list[Path] | None, typer.Argument(help="Trails, each with FILE.head; else audit.path.")] = None,
    config: Config = None,
) -> None:
    """Check the chain of each trail and say where it breaks."""
    from server.audit.trail import verify as run

    for file in files or [_configured_trail(config)]:
        held, broken = run(file)
        if broken is not None:
            raise StartupError(f"{file}: line {broken.line}: {broken.problem}; {held} records before it hold")
        typer.echo(f"{file}: {held} records hold")


def _configured_trail(config: Path | None) -> Path:
    from server.configuration import load_settings
    from server.errors import SettingsError

    path = load_settings(config).audit.path
    if path is None:
        raise SettingsError("audit.path is not set; set it, or name the trails to verify")
    return path
