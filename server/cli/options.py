"""Options that several verbs share, defined once."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The settings file (TOML); else TENANTGATE_CONFIG.")
]
Folder = Annotated[
    Path | None, typer.Option("--folder", metavar="DIR", help="Where development data lives; else .tenantgate.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for a machine to read.")]
