"""`tenantgate audit`: the keys that sign the audit trail, and what its files say."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from server.cli.options import Config
from server.errors import SettingsError, StartupError

if TYPE_CHECKING:
    from server.audit.keys import PublicKeys

audit_cli: Final = typer.Typer(help="The audit trail.", no_args_is_help=True, rich_markup_mode=None)
Archived = Annotated[
    bool, typer.Option("--archived", help="The files are a part that was moved elsewhere, without FILE.head.")
]
PublicKey = Annotated[
    list[str] | None, typer.Option("--public-key", help="A key that may have signed, beside those of the settings.")
]


@audit_cli.command()
def keys(
    public: Annotated[bool, typer.Option("--public", help="Print the public half of the configured key.")] = False,
    config: Config = None,
) -> None:
    """Make a key pair that signs checkpoints, for audit.signing_key, and print it once."""
    import secrets

    from server.audit.configured import configured_key
    from server.audit.keys import SigningKey
    from server.configuration import load_settings

    if public:
        key = configured_key(load_settings(config).audit)
        if key is None:
            raise SettingsError("audit.signing_key is not set; make one with `tenantgate audit keys`")
        typer.echo(key.public_text())
        return
    key = SigningKey(secrets.token_bytes(32))
    typer.echo(f'signing_key = "{key.text()}"  # secret: [audit] of the settings')
    typer.echo(f'public_key = "{key.public_text()}"  # for whoever verifies; after a change, one of audit.public_keys')


@audit_cli.command()
def verify(
    files: Annotated[list[Path] | None, typer.Argument(help="Trails, as audit.path names one; else that one.")] = None,
    public_key: PublicKey = None,
    archived: Archived = False,
    config: Config = None,
) -> None:
    """Check every file of each trail, those of all workers and those moved away beside them."""
    from server.audit.report import sentence
    from server.audit.verify import verify as run

    known = _public_keys(config, public_key)
    found = [one for path in files or [trail_path(config)] for one in run(path, known, archived=archived)]
    for one in found:
        typer.echo(sentence(one, signed=known is not None))
    broken = [one.broken for one in found if one.broken is not None]
    if broken:
        first = broken[0]
        raise StartupError(f"{first.file}: line {first.line}: {first.kind}: {first.problem}")


def trail_path(config: Path | None) -> Path:
    """Return `audit.path`; raise SettingsError where it is not set."""
    from server.configuration import load_settings

    path = load_settings(config).audit.path
    if path is None:
        raise SettingsError("audit.path is not set; set it, or name the trails")
    return path


def _public_keys(config: Path | None, more: list[str] | None) -> "PublicKeys | None":
    """Return the keys of the settings, where there are any, and those of the command line."""
    import os

    from server.audit.configured import configured_public_keys
    from server.audit.keys import public_keys
    from server.configuration import load_settings
    from server.settings import CONFIG_VARIABLE

    configured = None
    if config is not None or CONFIG_VARIABLE in os.environ:
        configured = configured_public_keys(load_settings(config).audit)
    try:
        given = public_keys(more or ())
    except ValueError as error:
        raise SettingsError(f"--public-key: {error}") from None
    return {**(configured or {}), **given} or None
