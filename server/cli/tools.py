"""`tenantgate tools`: the declarations of the catalog."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from server.cli.help import Verb
from server.cli.options import Config

if TYPE_CHECKING:
    import psycopg

    from server.settings import DatabaseSettings

tools_cli: Final = typer.Typer(help="The declared tables and tools.", no_args_is_help=True, rich_markup_mode=None)


# Without a callback, a group of one verb would lose the verb's name.
@tools_cli.callback()
def _group() -> None:
    pass


@tools_cli.command("sql", cls=Verb)
def show_sql(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="A declared table or view, as schema.table.")],
    own_column: Annotated[
        bool, typer.Option("--own-column", help="For a child: the steps to a tenant column of its own.")
    ] = False,
    config: Config = None,
) -> None:
    """Print the SQL that protects a declared table, for an administrator to read and run; nothing is changed.

    Example: tenantgate tools sql shop.orders
    """
    from server.catalog.loading import load_catalog
    from server.catalog.protection import own_column_steps, protection_sql
    from server.configuration import load_settings
    from server.errors import SettingsError

    settings = load_settings(config)
    tables = load_catalog(settings.catalog).tables
    if table not in tables:
        declared = ", ".join(sorted(tables)) or "none"
        raise SettingsError(f"{table} is not declared in the catalog; declare it, or name one of these: {declared}")
    login, id_type = settings.database.login, settings.tenancy.id_type
    with _reader(settings.database) as connection:
        if own_column:
            text = "\n".join(own_column_steps(connection, tables[table], tables, login, id_type))
        else:
            text = protection_sql(connection, tables[table], tables, login, id_type)
    typer.echo(text, nl=False)


@contextmanager
def _reader(database: "DatabaseSettings") -> "Generator[psycopg.Connection[Any]]":
    """Connect as the administrator, else as the login: both may read the database's descriptions of its tables."""
    import psycopg

    from server.administration.administrator import administrator
    from server.doctor.asking import login_connection
    from server.errors import SettingsError

    admin_url = database.admin_url.get_secret_value()
    if not admin_url and not database.url.get_secret_value():
        raise SettingsError("database.admin_url and database.url are missing; set one of them")
    opened = administrator(admin_url, database.unverified_tls) if admin_url else login_connection(database)
    with opened as connection:
        connection.cursor_factory = psycopg.RawCursor
        # Names and types are written in full, whatever the defaults of this role.
        connection.execute("SET search_path = pg_catalog")
        connection.execute("SET quote_all_identifiers = off")
        yield connection
