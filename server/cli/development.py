"""The verbs for development: dev and token."""

from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import Folder


def dev(  # noqa: PLR0913, PLR0917  # the options of a verb
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line once everything is ready.")] = False,
    port: Annotated[int, typer.Option(help="Port of the server; its companions take the next two. 0: any.")] = 8000,
    documents: Annotated[Path | None, typer.Option(help="A folder of documents with sidecars of your own.")] = None,
    catalog: Annotated[Path | None, typer.Option(help="A catalog of your own, to try on --database.")] = None,
    database: Annotated[
        str | None,
        typer.Option(help="An existing database: its administrator's URL. The login's password is replaced."),
    ] = None,
    folder: Folder = None,
) -> None:
    """Run the server with an embedded database, identity provider and knowledge base, on loopback.

    With --catalog and --database, an existing database is served in place of the sample, with the same sign-in.
    """
    from urllib.parse import urlsplit

    from server.dev.command import run_development
    from server.dev.own_database import OwnDatabase
    from server.errors import SettingsError

    if (catalog is None) != (database is None):
        raise SettingsError("--catalog and --database go together; give both, or neither for the sample")
    if database is not None and urlsplit(database).scheme not in {"postgresql", "postgres"}:
        raise SettingsError("--database must look like postgresql://user@host:5432/database")
    own = OwnDatabase(catalog, database) if catalog and database else None
    run_development(json=json, port=port, documents=documents, folder=folder, own=own)


def token(person: Annotated[str, typer.Argument(help="A sample person.")], folder: Folder = None) -> None:
    """Print an access token of a sample person, while `tenantgate dev` runs."""
    from server.dev.folder import data_folder
    from server.dev.running import access_token

    typer.echo(access_token(data_folder(folder), person))
