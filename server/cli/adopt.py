"""`tenantgate adopt`: write declarations and migrations for an existing database, without changing the database."""

import json as json_text
from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import Config, Json


def adopt(  # noqa: PLR0913, PLR0917  # one for each option
    tenant_column: Annotated[
        list[str],
        typer.Option(
            metavar="NAME[:SCHEMA.TABLE]",
            help="The column that holds the tenant, in every table that has it or in one. It may also be the foreign "
            "key by which the tenant of one table is found.",
        ),
    ],
    output: Annotated[Path, typer.Option(metavar="DIR", help="The folder that gets tools/ and migrations/.")],
    schema: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only the tables of this schema.")] = None,
    table: Annotated[
        list[str] | None, typer.Option(metavar="SCHEMA.TABLE", help="Only this table, and the parents that it needs.")
    ] = None,
    shared: Annotated[
        list[str] | None, typer.Option(metavar="SCHEMA.TABLE", help="A table that every tenant may read.")
    ] = None,
    keep_policies: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCHEMA.TABLE|all",
            help="A table that has row level security already: its policies stay for the roles that have grants today.",
        ),
    ] = None,
    prove: Annotated[
        bool,
        typer.Option(
            "--prove",
            help="Measure what every role sees before and after, in transactions that are rolled back. Each table is "
            "locked while its rows are counted, so other sessions wait.",
        ),
    ] = False,
    update: Annotated[
        bool, typer.Option("--update", help="Write what is new or different; edited files stay as they are.")
    ] = False,
    json: Json = False,
    config: Config = None,
) -> None:
    """Read an existing database and write the declarations and migrations that serve its tables per tenant.

    Example: tenantgate adopt --tenant-column account_id --output adopted
    """
    from server.adoption.adopt import adopt as run
    from server.adoption.request import parse_request
    from server.configuration import load_settings
    from server.progress import progress

    request = parse_request(
        tenant_column, schemas=schema or (), tables=table or (), shared=shared or (), kept=keep_policies or ()
    )
    settings = load_settings(config, ["database.admin_url"])
    with progress("connecting to the database") as shown:
        report = run(settings, request, output, update=update, prove=prove, shown=shown)
    if json:
        typer.echo(json_text.dumps(report.as_json()))
    else:
        from server.adoption.text import paragraphs, table_rows
        from server.cli.table import print_table

        print_table(("table", "tenant", "rows", "tenants", "index", "size", "left out"), table_rows(report))
        for line in paragraphs(report):
            typer.echo(line)
    if not all(one.holds for one in report.proved.values()):
        raise typer.Exit(1)
