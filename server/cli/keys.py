"""`tenantgate keys`: rotate the keys that sign tenant contexts, without downtime."""

import json as json_text
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

from server.cli.help import Verb
from server.cli.options import Config, Json

keys_cli: Final = typer.Typer(
    help="The keys that sign tenant contexts.", no_args_is_help=True, rich_markup_mode=None, add_completion=False
)


@keys_cli.command(cls=Verb)
def add(
    kid: Annotated[
        str | None, typer.Option(metavar="KID", help="The id of the new key; else the next of k1, k2, …")
    ] = None,
    config: Config = None,
) -> None:
    """Make a key, store it in the database and print it once as kid:BASE64, for database.context_keys.

    Example: tenantgate keys add --config tenantgate.toml
    """
    from server.administration.administrator import administrator
    from server.administration.key_table import add_key, free_kid, stored_keys
    from server.database.context_keys import new_context_key
    from server.errors import SettingsError

    with administrator(*_admin_url(config)) as connection:
        try:
            key = new_context_key(kid or free_kid(stored_keys(connection)))
        except ValueError as error:
            raise SettingsError(f"--kid: {error}") from None
        add_key(connection, key)
    typer.echo(key.text())


@keys_cli.command("list", cls=Verb)
def show(json: Json = False, config: Config = None) -> None:
    """Show the keys that the database knows, and until when it accepts each; never a secret.

    Example: tenantgate keys list
    """
    from server.administration.administrator import administrator
    from server.administration.key_table import stored_keys
    from server.cli.table import print_table

    with administrator(*_admin_url(config)) as connection:
        keys = stored_keys(connection)
    rows = [(key.kid, key.state, _time(key.added_at), _time(key.not_after) if key.not_after else None) for key in keys]
    if json:
        names = ("kid", "state", "added_at", "not_after")
        typer.echo(json_text.dumps([dict(zip(names, row, strict=True)) for row in rows]))
        return
    print_table(("key", "state", "added", "refused from"), [[cell or "" for cell in row] for row in rows])


@keys_cli.command(cls=Verb)
def retire(
    kid: Annotated[str, typer.Argument(metavar="KID", help="The id of the key.")],
    force: Annotated[bool, typer.Option("--force", help="Retire even the last valid key.")] = False,
    config: Config = None,
) -> None:
    """Let the database refuse a key once what it signed has expired.

    Example: tenantgate keys retire k1
    """
    from server.administration.administrator import administrator
    from server.administration.key_table import retire_key

    with administrator(*_admin_url(config)) as connection:
        not_after = retire_key(connection, kid, force=force)
    typer.echo(f"{kid} is refused from {_time(not_after)} on; remove it from database.context_keys before that")


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _admin_url(config: Path | None) -> tuple[str, tuple[str, ...]]:
    """Return the administrator's URL, and the hosts whose certificates need not be verified."""
    from server.configuration import load_settings

    database = load_settings(config, ["database.admin_url"]).database
    return database.admin_url.get_secret_value(), database.unverified_tls
