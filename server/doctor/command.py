"""`tenantgate doctor`: the report of every check, for a person, as JSON, and as JUnit XML."""

import json as json_text
import time
from dataclasses import replace
from pathlib import Path

from server.audit.notices import audit_notices
from server.catalog.loading import load_catalog
from server.doctor.document_proofs import document_checks
from server.doctor.examination import Report, examine
from server.doctor.junit import write_error, write_report
from server.doctor.view import View
from server.doctor.watch import Names, Watch
from server.errors import StartupError
from server.progress import progress
from server.settings import Settings
from server.terminal import screen, width_of


def run_doctor(
    settings: Settings, *, json: bool, admin: bool = False, junit: Path | None = None, quiet: bool = False
) -> None:
    """Print the report, and write it to the file `junit`; raise StartupError when a check fails or none can be made.

    `admin` requires the administrator's connection, which is also used whenever `database.admin_url` is set.
    """
    began = time.monotonic()
    with progress("connecting to the database") as shown:
        console = screen()
        view = View(console, shown, width=width_of(console), quiet=quiet)
        try:
            report = _examined(settings, Watch() if json else view, admin=admin)
        except StartupError as error:
            if junit is not None:
                write_error(junit, str(error))
            raise
        duration_s = time.monotonic() - began
        if not json:
            view.finish(report, duration_s)
    if json:
        print(json_text.dumps(report.as_json()))  # noqa: T201  # the answer of the verb
    if junit is not None:
        write_report(junit, report, duration_s)
    if not report.holds:
        raise StartupError(f"isolation does not hold: {len(report.failed)} of {len(report.checks)} checks failed")


def _examined(settings: Settings, watch: Watch, *, admin: bool) -> Report:
    """Examine database and documents; the notices also say what is missing in the settings of the audit trail."""
    with_administrator = admin or bool(settings.database.admin_url.get_secret_value())
    report = examine(settings, load_catalog(settings.catalog), admin=with_administrator, watch=watch)
    if settings.documents is not None:
        watch.begins(Names.DOCUMENTS)
    began = time.monotonic()
    documents = [replace(check, group=Names.DOCUMENTS) for check in document_checks(settings)]
    if documents:
        # One proof gives all of these checks.
        documents[0] = replace(documents[0], duration_s=time.monotonic() - began)
    for check in documents:
        watch.checked(check)
    notices = (*report.notices, *audit_notices(settings.audit))
    return replace(report, checks=(*report.checks, *documents), notices=notices)
