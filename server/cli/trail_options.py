"""Options of the verbs that read an audit trail, and the trail's settings."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.errors import SettingsError

if TYPE_CHECKING:
    from server.audit.keys import PublicKeys

Archived = Annotated[
    bool, typer.Option("--archived", help="The files are a part that was moved elsewhere, without FILE.head.")
]
PublicKey = Annotated[
    list[str] | None,
    typer.Option("--public-key", metavar="KEY", help="A key that may have signed; repeat it. Else of the settings."),
]
Tenant = Annotated[str | None, typer.Option("--tenant", metavar="ID", help="Records of this tenant alone.")]
Person = Annotated[str | None, typer.Option("--person", metavar="SUBJECT", help="Records of this subject alone.")]
From = Annotated[str | None, typer.Option("--from", metavar="DAY", help="From this day or time (UTC) on: 2026-11-26.")]
To = Annotated[str | None, typer.Option("--to", metavar="DAY", help="Until this day (included) or time.")]
File = Annotated[
    Path | None, typer.Option("--file", metavar="FILE", help="A trail, as audit.path names one; else that one.")
]


def trail_path(config: Path | None) -> Path:
    """Return `audit.path`; raise SettingsError where it is not set."""
    from server.configuration import load_settings

    path = load_settings(config).audit.path
    if path is None:
        raise SettingsError("audit.path is not set; set it, or name the files of the trail")
    return path


def known_keys(config: Path | None, more: list[str] | None = None) -> "PublicKeys | None":
    """Return the keys from the settings, if there are any, and from the command line."""
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
