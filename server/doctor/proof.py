"""The proof of isolation in a serving process: before its first row, and repeated while it serves."""

import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import anyio
import structlog

from server.catalog.facts import RelationFacts
from server.catalog.loading import Catalog
from server.chance import CHANCE
from server.database.database import Database
from server.doctor.examination import Report, examine
from server.errors import StartupError, UnreachableError
from server.settings import Settings

# The pause while the database is down or isolation does not hold, and the pause once it holds.
_RETRY_S: Final = 2.0
_REPEAT_S: Final = 300.0
# The most offenders in one line; `tenantgate doctor` shows all of them.
_NAMED: Final = 12
_log: Final = structlog.get_logger("proof")
# The report of a database that isolates tenants, None while it cannot be reached.
FirstProof = Callable[[], Report | None]


def require_isolation(settings: Settings, catalog: Catalog) -> Report | None:
    """Return the report of a database that isolates tenants, None when it cannot be reached yet.

    Raises StartupError that names the offenders, each with its remedy.
    """
    try:
        report = examine(settings, catalog)
    except UnreachableError as error:
        _log.warning("isolation is not proved yet", problem=str(error))
        return None
    if not report.holds:
        raise StartupError(
            f"isolation is not proved, so nothing is served ({_failures(report)}); see `tenantgate doctor`"
        )
    return report


@asynccontextmanager
async def proving(
    database: Database,
    settings: Settings,
    catalog: Catalog,
    bind: Callable[[Mapping[str, RelationFacts]], None],
    first: FirstProof | None = None,
) -> AsyncGenerator[None]:
    """Prove isolation before and while serving; `database` reads nothing unless the last proof passed.

    After each passed proof, `bind` gets the facts of the declared relations. `first` returns the proof that was made
    for this start; without it, a proof is made here.

    Raises StartupError at the start when isolation does not hold. A database that is down does not stop the start.
    """
    report = await anyio.to_thread.run_sync(first or partial(require_isolation, settings, catalog))
    if report is not None:
        _log_change(None, report)
        bind(report.facts)
    _judge(database, holds=report is not None)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_keep_proving, database, settings, catalog, bind, report)
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()


async def _keep_proving(
    database: Database,
    settings: Settings,
    catalog: Catalog,
    bind: Callable[[Mapping[str, RelationFacts]], None],
    last: Report | None,
) -> None:
    while True:
        await _pause(database)
        # The first proof reads every row; later ones read samples, so that callers are not slowed down.
        proof = partial(examine, settings, catalog, exact=not database.proved)
        try:
            report = await anyio.to_thread.run_sync(proof, abandon_on_cancel=True)
        except UnreachableError as error:
            # Without a connection, the last proof stays valid; calls report the outage themselves.
            _log.warning("isolation cannot be proved now", problem=str(error), proved=database.proved)
            continue
        except StartupError as error:
            database.proved = False
            _log.critical("isolation cannot be proved", problem=str(error))
            continue
        except Exception:  # noqa: BLE001  # a defect of ours proves nothing, and must not end the loop
            database.proved = False
            _log.exception("the proof of isolation failed")
            continue
        _log_change(last, report)
        last = report
        if report.holds:
            bind(report.facts)
        _judge(database, holds=report.holds)


async def _pause(database: Database) -> None:
    """Wait until the next proof is due: soon without one that holds, or when rows of another tenant came."""
    # Random, so that not all replicas ask at once when a database comes back.
    part = CHANCE.uniform(0.5, 1.0)
    await anyio.sleep(_RETRY_S * part)
    if database.proved:
        with anyio.move_on_after((_REPEAT_S - _RETRY_S) * part):
            await database.doubted.wait()
    database.doubted.clear()


def _judge(database: Database, *, holds: bool) -> None:
    # What was answered during the proof counts more.
    database.proved = holds and not database.doubted.is_set()
    if holds:
        database.proved_at = time.monotonic()


def _log_change(last: Report | None, report: Report) -> None:
    """Log the first report, and each report that differs from the one before."""
    if last is not None and _said(last) == _said(report):
        return
    for check in report.failed:
        _log.critical("an isolation check failed", check=check.name, offenders=list(map(str, check.offenders)))
    if report.holds:
        _log.info("isolation is proved", checks=len(report.checks), relations=report.summary)
    for notice in report.notices:
        _log.warning("a notice of the proof of isolation", notice=notice)


def _said(report: Report) -> object:
    return report.failed, report.summary, report.notices


def _failures(report: Report) -> str:
    """Return the offenders, each with its remedy, in one line."""
    found = [
        f"{check.name}: {one.object}: {one.problem}; remedy: {one.remedy}"
        for check in report.failed
        for one in check.offenders
    ]
    more = [f"and {len(found) - _NAMED} more"] if len(found) > _NAMED else []
    return " | ".join([*found[:_NAMED], *more]).replace("\n", " ")
