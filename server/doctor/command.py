"""`tenantgate doctor`: the report of every check, for a person or as JSON."""

import json as json_text
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from server.audit.notices import audit_notices
from server.catalog.loading import load_catalog
from server.doctor.document_proofs import document_checks
from server.doctor.examination import Report, examine
from server.errors import StartupError
from server.settings import Settings


def run_doctor(settings: Settings, *, json: bool, admin: bool = False) -> None:
    """Print the report; raise StartupError when a check fails or none can be made.

    `admin` requires the administrator's connection, which is also used whenever `database.admin_url` is set.
    """
    with_administrator = admin or bool(settings.database.admin_url.get_secret_value())
    report = examine(settings, load_catalog(settings.catalog), admin=with_administrator)
    notices = (*report.notices, *audit_notices(settings.audit))
    report = replace(report, checks=(*report.checks, *document_checks(settings)), notices=notices)
    if json:
        print(json_text.dumps(report.as_json()))  # noqa: T201  # the answer of the verb
    else:
        _print(report)
    if not report.holds:
        raise StartupError(f"isolation does not hold: {len(report.failed)} of {len(report.checks)} checks failed")


def _print(report: Report) -> None:
    # A pipe has no width; 80 columns would break the remedies, which people copy.
    console = Console(width=None if Console().is_terminal else 160)
    table = Table("check", "", "what must hold", title=f"Isolation as {report.login}", title_justify="left")
    for check in report.checks:
        verdict = Text("holds", "green") if check.holds else Text("FAILS", "bold red")
        table.add_row(check.name, verdict, Text(check.purpose))
    console.print(table)
    for check in report.failed:
        for one in check.offenders:
            console.print(Text(f"{check.name}: {one.object}: {one.problem}\n  remedy: {one.remedy}"), soft_wrap=True)
    for notice in report.notices:
        console.print(Text(f"notice: {notice}"), soft_wrap=True)
    console.print(Text(f"{report.summary}."), soft_wrap=True)
    if report.holds:
        console.print(f"Every check holds ({len(report.checks)} in {report.duration_s:.2f} s).")
