"""`tenantgate init`: a first settings file."""

from pathlib import Path
from typing import Annotated, Final

import typer

from server.errors import SettingsError

_FILE: Final = Path("tenantgate.toml")


def init(
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    issuer: Annotated[
        str | None, typer.Option(metavar="URL", help="Fill in what this identity provider publishes about itself.")
    ] = None,
    config: Annotated[Path, typer.Option("--config", metavar="FILE", help="The file to write.")] = _FILE,
) -> None:
    """Write a settings file with the fewest keys that work, and the folders that it names.

    Example: tenantgate init --issuer https://idp.example.com
    """
    from server.administration.first_settings import NEXT_STEPS, discover, settings_text

    if config.exists() and not force:
        raise SettingsError(f"{config} exists; add --force to replace it, or name another file with --config")
    text = settings_text(discover(issuer) if issuer is not None else None)
    try:
        config.parent.mkdir(parents=True, exist_ok=True)
        # It may later hold secrets, so nobody else may read it.
        config.touch(mode=0o600)
        config.write_text(text, encoding="utf-8")
        for folder in ("tools", "migrations"):
            (config.parent / "adopted" / folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"{error.filename} cannot be written ({error.strerror}); name another --config") from error
    typer.echo(f"wrote {config}, and the folders adopted/tools and adopted/migrations beside it")
    typer.echo(NEXT_STEPS.format(config=config))
