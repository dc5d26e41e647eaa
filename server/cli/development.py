"""The verbs for development: dev and token."""

from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import Folder


def dev(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line once everything is ready.")] = False,
    port: Annotated[int, typer.Option(help="Port of the server; its companions take the next two. 0: any.")] = 8000,
    documents: Annotated[Path | None, typer.Option(help="A folder of documents with sidecars of your own.")] = None,
    folder: Folder = None,
) -> None:
    """Run the server with an embedded database, identity provider and knowledge base, on loopback."""
    from server.dev.command import run_development

    run_development(json=json, port=port, documents=documents, folder=folder)


def token(person: Annotated[str, typer.Argument(help="A sample person.")], folder: Folder = None) -> None:
    """Print an access token of a sample person, while `tenantgate dev` runs."""
    from server.dev.folder import data_folder
    from server.dev.running import access_token

    typer.echo(access_token(data_folder(folder), person))
