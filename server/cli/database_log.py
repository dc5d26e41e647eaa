"""`tenantgate audit database` and `audit reconcile`: what the database itself logs about each statement."""

import json as json_text
from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import Config, Json
from server.cli.trail_options import File, From, To, trail_path
from server.errors import StartupError
from server.progress import progress

_SHOWN = 20


def database(
    log: Annotated[
        bool | None, typer.Option("--log/--no-log", help="Log whom each statement runs for, or no longer.")
    ] = None,
    config: Config = None,
) -> None:
    """Let the database log tenant, person, request and statement of each verified context; or show whether it does.

    Example: tenantgate audit database --log
    """
    from server.administration.administrator import administrator
    from server.administration.key_table import log_contexts, logs_contexts
    from server.configuration import load_settings

    settings = load_settings(config, ["database.admin_url"]).database
    with administrator(settings.admin_url.get_secret_value(), settings.unverified_tls) as connection:
        if log is not None:
            log_contexts(connection, log)
        logged, keys = logs_contexts(connection)
    if not keys:
        typer.echo("there is no context key yet; make one with `tenantgate keys add`, then switch this on")
    elif logged == keys:
        typer.echo("the database logs each verified context")
    else:
        typer.echo("the database logs no context" if not logged else f"of {keys} keys, {logged} are logged")


def reconcile(  # noqa: PLR0913  # the filters
    *,
    log: Annotated[list[Path], typer.Option("--log", metavar="FILE", help="A file of PostgreSQL's log; repeat it.")],
    since: From = None,
    until: To = None,
    json: Json = False,
    file: File = None,
    config: Config = None,
) -> None:
    """Compare the trail with PostgreSQL's log: each statement is in both, or is named.

    Example: tenantgate audit reconcile --log postgresql.log
    """
    from server.audit.database_log import differences, read_logs
    from server.audit.reading import Filter, moment, read_records

    wanted = Filter(since=moment(since, "--from"), until=moment(until, "--to", end=True))
    path = file or trail_path(config)
    with progress("reading the database's log") as shown:
        logged = read_logs(log)
        found = list(differences(read_records(path, wanted, shown), logged))
    if json:
        typer.echo(json_text.dumps([one.as_json() for one in found]))
    else:
        for one in found[:_SHOWN]:
            typer.echo(f"{one.kind}: request {one.request}, tenant {one.tenant or 'none'}, statement {one.statement}")
    statements = sum(map(len, logged.statements.values()))
    seen = f"the database logged {statements} statements of {len(logged.statements)} requests, {logged.own} of its own"
    if not statements:
        raise StartupError(
            f"{seen}; name files that hold such lines, and see `tenantgate audit database` whether it logs them"
        )
    if found:
        raise StartupError(f"{seen}; {len(found)} differences from the trail")
    typer.echo(f"{seen}; the trail has the same", err=json)
