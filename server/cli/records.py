"""`tenantgate audit show`, `audit export` and `usage`: the records of the audit trail."""

import csv
import json as json_text
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from server.cli.options import Config, Json
from server.cli.trail_options import File, From, Person, Tenant, To, known_keys, trail_path
from server.errors import SettingsError, StartupError
from server.progress import Progress, progress


class Form(Enum):
    """The formats in which records are exported."""

    OCSF = "ocsf"


def show(  # noqa: PLR0913  # the filters
    *,
    tenant: Tenant = None,
    person: Person = None,
    tool: Annotated[str | None, typer.Option(metavar="NAME", help="Calls of this tool alone.")] = None,
    since: From = None,
    until: To = None,
    last: Annotated[int, typer.Option(min=0, metavar="N", help="How many of the last records; 0 for all.")] = 50,
    json: Json = False,
    file: File = None,
    config: Config = None,
) -> None:
    """Print records, the last ones of all workers, as a table or as JSON lines.

    Example: tenantgate audit show --tenant acme --from 2026-11-26
    """
    from server.audit.reading import Filter, last_of, moment, read_records
    from server.audit.show import HEADINGS, row
    from server.cli.table import print_table

    wanted = Filter(tenant, person, tool, moment(since, "--from"), moment(until, "--to", end=True))
    path = file or trail_path(config)
    with progress("reading the audit trail") as shown:
        found = last_of(read_records(path, wanted, shown), last)
    if json:
        for record in found:
            typer.echo(json_text.dumps(record))
    else:
        print_table(HEADINGS, [row(record) for record in found])


def export(  # noqa: PLR0913  # the filters
    *,
    form: Annotated[
        Form, typer.Option("--format", metavar="ocsf", help="Events of the Open Cybersecurity Schema Framework.")
    ],
    tenant: Tenant = None,
    since: From = None,
    until: To = None,
    file: File = None,
    config: Config = None,
) -> None:
    """Print records as events for a security lake or a SIEM, one JSON object a line.

    Example: tenantgate audit export --format ocsf > events.jsonl
    """
    from server.audit.ocsf import events
    from server.audit.reading import Filter, moment, read_records

    assert form is Form.OCSF  # noqa: S101  # the only one
    wanted = Filter(tenant, since=moment(since, "--from"), until=moment(until, "--to", end=True))
    path = file or trail_path(config)
    with progress("reading the audit trail", streams=True) as shown:
        for record in read_records(path, wanted, shown):
            for event in events(record):
                typer.echo(json_text.dumps(event))


def usage(  # noqa: PLR0913  # the filters
    *,
    since: From = None,
    until: To = None,
    tenant: Tenant = None,
    json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values.")] = False,
    file: File = None,
    config: Config = None,
) -> None:
    """Print calls, rows, bytes, document searches and database time per tenant and day, of a trail that holds.

    Example: tenantgate usage --from 2026-11-01 --to 2026-11-30 --csv
    """
    from server.audit.reading import Filter, moment, read_records
    from server.audit.usage import HEADINGS
    from server.audit.usage import usage as add_up

    if json and as_csv:
        raise SettingsError("--json and --csv cannot be combined; pass one of them")
    path = file or trail_path(config)
    wanted = Filter(tenant, since=moment(since, "--from"), until=moment(until, "--to", end=True))
    with progress("verifying the audit trail") as shown:
        _require_whole(path, config, shown)
        days = [one.as_json() for one in add_up(read_records(path, wanted, shown))]
    if json:
        typer.echo(json_text.dumps(days))
    elif as_csv:
        table = csv.DictWriter(sys.stdout, HEADINGS, lineterminator="\n")
        table.writeheader()
        table.writerows(days)
    else:
        from server.cli.table import print_table

        print_table(HEADINGS, [[str(day[name]) for name in HEADINGS] for day in days])


def _require_whole(path: Path, config: Path | None, shown: Progress) -> None:
    """Raise StartupError where the trail does not verify: a changed trail must not be billed."""
    from server.audit.verify import verify

    keys = known_keys(config)
    broken = [one.broken for one in verify(path, keys, shown=shown) if one.broken is not None]
    if broken and all(one.kind == "missing" for one in broken):
        with shown.paused():
            typer.echo(f"notice: {broken[0].problem}; what they say is not added up", err=True)
        broken = [one.broken for one in verify(path, keys, archived=True, shown=shown) if one.broken is not None]
    if broken:
        where = f"{broken[0].file}: line {broken[0].line}"
        raise StartupError(
            f"the audit trail does not verify ({where}: {broken[0].problem}), so no usage is shown; run `tenantgate "
            "audit verify`"
        )
