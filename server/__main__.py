"""The command line: `tenantgate VERB`. Errors are one line on standard error; exit code 1 or 2, never a traceback."""

import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from server.cli.documents import documents_cli
from server.cli.keys import keys_cli
from server.errors import StartupError

cli: Final = typer.Typer(
    help="A multi-tenant MCP server: the token decides, the database enforces.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
cli.add_typer(documents_cli, name="documents")
cli.add_typer(keys_cli, name="keys")
Config = Annotated[Path | None, typer.Option("--config", help="The settings file (TOML); else TENANTGATE_CONFIG.")]
Folder = Annotated[Path | None, typer.Option("--folder", help="Where development data lives; else .tenantgate.")]


@cli.command()
def serve(
    config: Config = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on, in place of the setting.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, in place of the setting.")] = None,
    workers: Annotated[int | None, typer.Option(help="Worker processes, in place of the setting.")] = None,
) -> None:
    """Run the server on configured services until it is stopped."""
    from server.configuration import load_settings

    settings = load_settings(config, host=host, port=port, workers=workers)
    # Only now: a wrong setting is told at once, not after the libraries are in.
    from server.http.serving import serve as run

    run(settings)


@cli.command()
def migrate(config: Config = None) -> None:
    """Bring the database to this version's schema, with the administrator's connection."""
    from server.configuration import load_settings
    from server.errors import SettingsError

    admin_url = load_settings(config).database.admin_url.get_secret_value()
    if not admin_url:
        raise SettingsError("database.admin_url is missing; set TENANTGATE_DATABASE__ADMIN_URL for this command")
    from server.administration.migrations import migrate as run

    run(admin_url, typer.echo)


@cli.command()
def doctor(
    config: Config = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object: {ok, checks: […]}.")] = False,
) -> None:
    """Prove isolation on the configured database and knowledge base; `serve` does so on the database first."""
    from server.configuration import load_settings

    settings = load_settings(config)
    from server.doctor.command import run_doctor

    run_doctor(settings, json=json)


@cli.command()
def dev(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line once everything is ready.")] = False,
    port: Annotated[int, typer.Option(help="Port of the server; its companions take the next two. 0: any.")] = 8000,
    documents: Annotated[Path | None, typer.Option(help="A folder of documents with side-cars of your own.")] = None,
    folder: Folder = None,
) -> None:
    """Run the server with an embedded database, identity provider and knowledge base, on loopback."""
    from server.dev.command import run_development

    run_development(json=json, port=port, documents=documents, folder=folder)


@cli.command()
def token(person: Annotated[str, typer.Argument(help="A sample person.")], folder: Folder = None) -> None:
    """Print an access token of a sample person, while `tenantgate dev` runs."""
    from server.dev.folder import data_folder
    from server.dev.running import access_token

    typer.echo(access_token(data_folder(folder), person))


audit: Final = typer.Typer(help="The audit trail.", no_args_is_help=True, rich_markup_mode=None)
cli.add_typer(audit, name="audit")


@audit.command()
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


def main() -> None:
    """Run one verb; an error on purpose becomes one line and its exit code."""
    try:
        cli()
    except StartupError as error:
        print(f"tenantgate: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
