"""A new application from what the settings file and the catalog say now, and what is new in it."""

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
from server.workers.share import Place

NOT_RELOADED: Final = "not reloaded; the settings and the catalog of before are served"
# What a process has once: its socket, its connections, its trail, its numbers.
FIXED: Final = ("host", "port", "workers", "trusted_proxies", "connections", "audit", "telemetry")
_DECLARED: Final = ("tables", "sql_tools", "searches", "prompts", "instructions")


@dataclass(frozen=True, slots=True)
class Served:
    """What one application was made of."""

    settings: Settings
    catalog: Catalog


@dataclass(frozen=True, slots=True)
class Reading:
    """Settings and a catalog that were proved to isolate tenants, and what differs from those that are served.

    `changed` names settings and parts of the catalog; `needs_restart` the settings that stay as they are.
    """

    served: Served
    report: Report
    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]


def read_anew(served: Served) -> Reading:
    """Read settings and catalog again, and prove isolation with them; this blocks for as long as the database takes.

    Raises StartupError for a mistake in them, for a database that is away, and where isolation does not hold.
    """
    # Also a secret of AWS that was rotated a moment ago.
    forget()
    said = load_settings(needs=SERVING)
    settings = said.model_copy(update={name: getattr(served.settings, name) for name in FIXED})
    found = Served(settings, load_catalog(settings.catalog))
    report = require_isolation(settings, found.catalog)
    if report is None:
        raise UnreachableError("the database cannot be reached, so nothing new is proved; reload again when it answers")
    needs_restart = tuple(name for name in FIXED if getattr(said, name) != getattr(served.settings, name))
    return Reading(found, report, tuple(_changes(served, found)), needs_restart)


def made(reading: Reading, place: Place, kept: Kept) -> Starlette:
    """Return the application for what was read; raises SettingsError where its parts do not fit together."""
    settings, catalog = place.share(reading.served.settings), reading.served.catalog
    return create_app(settings, catalog=catalog, first_proof=lambda: reading.report, kept=kept)


def _changes(before: Served, now: Served) -> Iterator[str]:
    for name in Settings.model_fields:
        if getattr(before.settings, name) != getattr(now.settings, name):
            yield name
    for part in _DECLARED:
        if getattr(before.catalog, part) != getattr(now.catalog, part):
            yield f"catalog {part}"
    # Functions are loaded anew each time, so their names are all that can be compared.
    if _names(before.catalog) != _names(now.catalog):
        yield "catalog code_tools"


def _names(catalog: Catalog) -> list[str]:
    return [tool.name for tool in catalog.code_tools]
