"""`tenantgate audit`: the keys that sign the audit trail, and checks and extracts of its files."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Final

import typer

from server.cli.database_log import database, reconcile
from server.cli.help import Verb
from server.cli.options import Config
from server.cli.records import export, show
from server.cli.trail_options import Archived, File, PublicKey, known_keys, trail_path
from server.errors import SettingsError, StartupError
from server.progress import Progress, progress

audit_cli: Final = typer.Typer(help="The audit trail.", no_args_is_help=True, rich_markup_mode=None)
for verb in (show, export, database, reconcile):
    audit_cli.command(cls=Verb)(verb)


@audit_cli.command(cls=Verb)
def keys(
    public: Annotated[bool, typer.Option("--public", help="Print the public half of the configured key.")] = False,
    config: Config = None,
) -> None:
    """Make a key pair that signs checkpoints, for audit.signing_key, and print it once.

    Example: tenantgate audit keys
    """
    import secrets

    from server.audit.configured import configured_public_key
    from server.audit.keys import SigningKey
    from server.configuration import load_settings

    if public:
        text = configured_public_key(load_settings(config).audit)
        if text is None:
            raise SettingsError("audit.signing_key is not set; make one with `tenantgate audit keys`")
        typer.echo(text)
        return
    key = SigningKey(secrets.token_bytes(32))
    typer.echo(f'signing_key = "{key.text()}"  # secret: [audit] of the settings')
    typer.echo(f'public_key = "{key.public_text()}"  # for those who verify; after a change, one of audit.public_keys')


@audit_cli.command(cls=Verb)
def verify(
    files: Annotated[
        list[Path] | None, typer.Argument(metavar="[FILE]...", help="Trails, as audit.path names one; else that one.")
    ] = None,
    public_key: PublicKey = None,
    archived: Archived = False,
    config: Config = None,
) -> None:
    """Check every file of each trail, those of all workers and those moved away beside them.

    Example: tenantgate audit verify --config tenantgate.toml
    """
    from server.audit.report import sentence
    from server.audit.verify import verify as run

    known = known_keys(config, public_key)
    paths = files or [trail_path(config)]
    with progress("verifying the audit trail") as shown:
        found = [one for path in paths for one in run(path, known, archived=archived, shown=shown)]
    for one in found:
        typer.echo(sentence(one, signed=known is not None))
    broken = [one.broken for one in found if one.broken is not None]
    if broken:
        first = broken[0]
        raise StartupError(
            f"{first.file}: line {first.line}: {first.kind}: {first.problem}; keep every file of the trail as evidence"
        )


@audit_cli.command(cls=Verb)
def extract(
    tenant: Annotated[
        str | None, typer.Option(metavar="ID", help="Print this tenant's records with their proofs.")
    ] = None,
    check: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Verify an extract; only --public-key is needed.")
    ] = None,
    public_key: PublicKey = None,
    file: File = None,
    config: Config = None,
) -> None:
    """Make the extract of one tenant, or verify one with the public key alone.

    Example: tenantgate audit extract --tenant acme > acme.jsonl
    """
    if (tenant is None) == (check is None):
        raise SettingsError("name a tenant with --tenant, or an extract to verify with --check")
    if tenant is not None:
        _make_extract(tenant, file, config)
    elif check is not None:
        _check_extract(check, public_key, config)


def _make_extract(tenant: str, file: Path | None, config: Path | None) -> None:
    from server.audit.configured import configured_key
    from server.audit.extract import extract as run
    from server.configuration import load_settings

    key = configured_key(load_settings(config).audit)
    if key is None:
        raise SettingsError("audit.signing_key is not set; set it to the key that signed the trail")
    path = file or trail_path(config)
    with progress("reading the audit trail", streams=True) as shown:
        for line in run(path, key, tenant, shown):
            typer.echo(line, nl=False)


def _check_extract(file: Path, public_key: list[str] | None, config: Path | None) -> None:
    from server.audit.extract_check import check_extract
    from server.audit.report import checked_sentence

    known = known_keys(config, public_key)
    if known is None:
        raise SettingsError("--public-key is missing; pass the server's public key, which its operator publishes")
    try:
        with (
            progress("verifying the extract", file.stat().st_size) as shown,
            file.open(encoding="utf-8", errors="replace", newline="\n") as lines,
        ):
            checked = check_extract(_counted(lines, shown), known)
    except OSError as error:
        raise StartupError(
            f"the extract {file} cannot be read: {error.strerror}; correct its path or its rights"
        ) from error
    typer.echo(checked_sentence(checked))


def _counted(lines: Iterable[str], shown: Progress) -> Iterator[str]:
    for line in lines:
        yield line
        shown.advance(len(line))
