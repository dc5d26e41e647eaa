"""The command line: `tenantgate VERB`. Errors are one line on standard error; exit code 1 or 2, never a traceback."""

import sys
from typing import Annotated, Final

import typer

from server.audit.administration import recorded
from server.cli.adopt import adopt
from server.cli.audit import audit_cli
from server.cli.catalog import check, schema
from server.cli.development import dev, token
from server.cli.documents import documents_cli
from server.cli.init import init
from server.cli.keys import keys_cli
from server.cli.records import usage
from server.cli.serving import doctor, migrate, serve
from server.cli.tenants import tenants_cli
from server.cli.tools import tools_cli
from server.errors import StartupError

cli: Final = typer.Typer(
    help="A multi-tenant MCP server: the token decides, the database enforces.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (init, adopt, migrate, doctor, serve, usage, dev, token):
    cli.command()(verb)
cli.add_typer(documents_cli, name="documents")
cli.add_typer(keys_cli, name="keys")
cli.add_typer(tenants_cli, name="tenants")
cli.add_typer(audit_cli, name="audit")
for verb in (check, schema):
    tools_cli.command()(verb)
cli.add_typer(tools_cli, name="tools")


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"tenantgate {version('tenantgate')}")
        raise typer.Exit


@cli.callback()
def _options(
    _show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run one verb; an error on purpose becomes one line and its exit code."""
    try:
        with recorded(sys.argv[1:]):
            cli()
    except StartupError as error:
        print(f"tenantgate: {' '.join(str(error).split())}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
