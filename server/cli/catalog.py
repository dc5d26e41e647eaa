"""`tenantgate tools check` and `tools schema`: check the catalog, and print the schema of its files."""

import json as json_text
from typing import TYPE_CHECKING

import typer

from server.cli.options import Config, Json

if TYPE_CHECKING:
    from server.catalog.loading import Catalog
    from server.settings import Settings


def check(config: Config = None, json: Json = False) -> None:
    """Validate the catalog's files, and, where a database is configured, compare them with it.

    Example: tenantgate tools check --config tenantgate.toml
    """
    from server.catalog.loading import load_catalog
    from server.configuration import load_settings
    from server.errors import CatalogError

    settings = load_settings(config)
    if not settings.catalog:
        typer.echo(
            "The setting `catalog` is empty, so no tool is declared; set it to the folder of your .toml files.",
            err=True,
        )
    try:
        catalog = load_catalog(settings.catalog)
        problems = _against_database(settings, catalog) if settings.database.url.get_secret_value() else ()
    except CatalogError as error:
        catalog, problems = None, error.problems
    if json:
        typer.echo(json_text.dumps({"ok": not problems, "problems": list(problems)}))
    else:
        for problem in problems:
            typer.echo(problem, err=True)
        if catalog is not None and not problems:
            typer.echo(_summary(settings, catalog))
    raise typer.Exit(bool(problems))


def schema() -> None:
    """Print the JSON Schema of a catalog file, so that editors complete and check it.

    Example: tenantgate tools schema > catalog.schema.json
    """
    from server.catalog.declarations import CatalogFile

    described = CatalogFile.model_json_schema()
    typer.echo(json_text.dumps({"$schema": "https://json-schema.org/draft/2020-12/schema", **described}, indent=2))


def _summary(settings: "Settings", catalog: "Catalog") -> str:
    from server.catalog.offer import offered

    tools = len(offered(catalog, settings).tools)
    compared = "and agrees with the database" if settings.database.url.get_secret_value() else "without a database"
    return f"The catalog is valid {compared}: {len(catalog.tables)} tables, {tools} tools."


def _against_database(settings: "Settings", catalog: "Catalog") -> tuple[str, ...]:
    from server.catalog.comparison import differences
    from server.catalog.facts import read_facts
    from server.catalog.policies import problems
    from server.doctor.asking import login_connection, settled

    database = settings.database
    with login_connection(database) as connection, settled(connection, database.statement_timeout_ms):
        facts = read_facts(connection, catalog.tables)
    found = {name: list(differences(table, facts.get(name))) for name, table in catalog.tables.items()}
    # Reasons why a table cannot be isolated; reported where the table itself is as declared.
    ways = problems(catalog.tables.values(), facts, settings.tenancy.id_type)
    return (
        *(f"table {name}: {problem}" for name, several in found.items() for problem in several),
        *(f"table {problem}" for problem in ways if not found.get(problem.partition(":")[0])),
    )
