"""A new application from the present settings and catalog, and the changes in it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from starlette.applications import Starlette

from server.app import create_app
from server.aws_secrets import forget
from server.catalog.loading import Catalog, load_catalog
from server.configuration import SERVING, load_settings
from server.doctor.examination import Report
from server.doctor.proof import require_isolation
from server.errors import UnreachableError
from server.settings import Settings
from server.workers.kept import Kept
from server.workers.share import WorkerPlace

NOT_RELOADED: Final = "not reloaded; the previous settings and catalog stay in use"
# Settings of things that a process has once: its socket, connections, trail and metrics.
FIXED: Final = ("host", "port", "workers", "trusted_proxies", "connections", "audit", "telemetry")
_DECLARED: Final = ("tables", "sql_tools", "searches", "prompts", "instructions")


@dataclass(frozen=True, slots=True)
class Served:
    """The settings and the catalog that one application was made from."""

    settings: Settings
    catalog: Catalog


@dataclass(frozen=True, slots=True)
class Reading:
    """Settings and a catalog with proved isolation, and their differences from the served ones.

    `changed` names settings and parts of the catalog; `needs_restart` names changed settings that only a restart
    applies.
    """

    served: Served
    report: Report
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]


def read_anew(served: Served) -> Reading:
    """Read settings and catalog again, and prove isolation with them; this blocks until the database has answered.

    Raises StartupError for a mistake in them, for a database that is down, and when isolation does not hold.
    """
    # Read AWS secrets again too: one may just have been rotated.
    forget()
    said = load_settings(needs=SERVING)
    settings = said.model_copy(update={name: getattr(served.settings, name) for name in FIXED})
    found = Served(settings, load_catalog(settings.catalog))
    report = require_isolation(settings, found.catalog)
    if report is None:
        raise UnreachableError("the database cannot be reached, so nothing new is proved; reload again when it answers")
    needs_restart = tuple(name for name in FIXED if getattr(said, name) != getattr(served.settings, name))
    return Reading(found, report, tuple(_changes(served, found)), needs_restart)


def made(reading: Reading, place: WorkerPlace, kept: Kept) -> Starlette:
    """Return the application for the reading; raises SettingsError when its parts do not fit together."""
    settings, catalog = place.share(reading.served.settings), reading.served.catalog
    return create_app(settings, catalog=catalog, first_proof=lambda: reading.report, kept=kept)


def _changes(before: Served, now: Served) -> Iterator[str]:
    for name in Settings.model_fields:
        if getattr(before.settings, name) != getattr(now.settings, name):
            yield name
    for part in _DECLARED:
        if getattr(before.catalog, part) != getattr(now.catalog, part):
            yield f"catalog {part}"
    # Functions are loaded again each time, so only their names can be compared.
    if _names(before.catalog) != _names(now.catalog):
        yield "catalog code_tools"


def _names(catalog: Catalog) -> list[str]:
    return [tool.name for tool in catalog.code_tools]
