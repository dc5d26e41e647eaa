"""The verbs that an operator needs for serving: serve, migrate, doctor."""

import gc
from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import Config, Json


def serve(
    config: Config = None,
    host: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Address to listen on, in place of the setting.")
    ] = None,
    port: Annotated[int | None, typer.Option(metavar="N", help="Port to listen on, in place of the setting.")] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", help="Worker processes, in place of the setting.")] = None,
) -> None:
    """Run the server on configured services until it is stopped.

    Example: tenantgate serve --config tenantgate.toml --workers 2
    """
    # A start creates no garbage, and the collector takes a sixth of its time; the server turns it on again.
    gc.disable()
    from server.configuration import SERVING, load_settings

    settings = load_settings(config, SERVING, host=host, port=port, workers=workers)
    # Imported late: a wrong setting is reported at once, before the libraries are loaded.
    from server.workers.serving import serve as run

    run(settings)


def migrate(config: Config = None) -> None:
    """Bring the database to this version's schema, then apply your own migrations, as the administrator.

    Example: tenantgate migrate --config tenantgate.toml
    """
    from server.configuration import load_settings

    settings = load_settings(config, ["database.admin_url"])
    from server.administration.migrations import migrate as run
    from server.doctor.losers import roles_that_lose_rows
    from server.progress import progress

    database = settings.database
    with progress("connecting to the database") as shown:

        def say(line: str) -> None:
            with shown.paused():
                typer.echo(line)

        run(
            database.admin_url.get_secret_value(),
            say,
            login=database.login,
            folders=settings.migrations,
            unverified_tls=database.unverified_tls,
            begins=shown.step,
        )
        shown.step("looking for roles that lose rows")
        for sentence in roles_that_lose_rows(settings):
            say(sentence)


def doctor(
    config: Config = None,
    json: Json = False,
    admin: Annotated[
        bool, typer.Option("--admin", help="Also compare with the administrator's counts (database.admin_url).")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the report as JUnit XML, for a CI system.")
    ] = None,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print what failed, notices and the summary; not what passed.")
    ] = False,
) -> None:
    """Prove isolation on the configured database and knowledge base; `serve` does so too.

    Example: tenantgate doctor --config tenantgate.toml --junit isolation.xml
    """
    from server.configuration import load_settings

    if junit is not None:
        from server.doctor.junit import write_error

        # So that no report of an earlier run stays, whatever happens.
        write_error(junit, "the doctor did not finish")
    settings = load_settings(config, ["database.url", "database.context_keys"])
    from server.doctor.command import run_doctor

    run_doctor(settings, json=json, admin=admin, junit=junit, quiet=quiet)
