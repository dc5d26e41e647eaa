"""The verbs for development: dev and token."""

import gc
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import urlsplit

import typer

from server.cli.options import Folder

# The stand-ins use the next two ports.
_LAST_PORT: Final = 65_533


def dev(  # noqa: PLR0913, PLR0917  # the options of a verb
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line once everything is ready.")] = False,
    port: Annotated[
        int, typer.Option(metavar="N", help="Port of the server; its companions take the next two. 0: any.")
    ] = 8000,
    documents: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A folder of documents with sidecars of your own.")
    ] = None,
    catalog: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A catalog of your own, to try on --database.")
    ] = None,
    database: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="An existing database: its administrator's URL. The login's password is replaced."
        ),
    ] = None,
    folder: Folder = None,
) -> None:
    """Run the server with an embedded database, identity provider and knowledge base, on loopback.

    With --catalog and --database, an existing database is served in place of the sample, with the same sign-in.

    Example: tenantgate dev --port 9000
    """
    from server.errors import SettingsError

    # Before the libraries are loaded, so that a mistake is reported at once.
    if not 0 <= port <= _LAST_PORT:
        raise SettingsError(f"--port must be 0, or 1 to {_LAST_PORT}: the two ports after it are used as well")
    if (catalog is None) != (database is None):
        raise SettingsError("--catalog and --database need each other; pass both, or neither for the sample")
    if database is not None and not _is_postgresql(database):
        raise SettingsError("--database must look like postgresql://user@host:5432/database")
    # A start creates no garbage, and the collector takes a sixth of its time; the server turns it on again.
    gc.disable()
    from server.dev.command import run_development
    from server.dev.own_database import OwnDatabase

    own = OwnDatabase(catalog, database) if catalog and database else None
    run_development(json=json, port=port, documents=documents, folder=folder, own=own)


def _is_postgresql(url: str) -> bool:
    try:
        return urlsplit(url).scheme in {"postgresql", "postgres"}
    except ValueError:
        return False


def token(
    person: Annotated[str, typer.Argument(metavar="PERSON", help="A sample person.")], folder: Folder = None
) -> None:
    """Print an access token of a sample person, while `tenantgate dev` runs.

    Example: tenantgate token mike-broker-a
    """
    from server.dev.folder import data_folder
    from server.dev.running import access_token

    typer.echo(access_token(data_folder(folder), person))
