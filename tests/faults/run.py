"""Does one fault after the other to a server under load, and says what came of each."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

from faults import checks
from faults.canaries import left_behind
from faults.rows import FAULTS, Fault
from faults.site import POOL_SIZE, WORKERS, Site
from support.audit import PUBLIC
from support.callers import Answer, Callers, Lost, calling, opened, until

from server.workers.vital_signs import GIVEN_UP_S

RECOVERY_S = 5.0
# One that asks whether the database answers, one that proves isolation, of each worker.
_CONNECTIONS = POOL_SIZE + 2 * WORKERS
# For connections that the database has not noticed as gone.
_SETTLED_S = 8.0
_IN_FLIGHT = 20
# A new worker, on a machine that has much else to do.
_STARTED_S = 120.0


@dataclass
class Row:
    """What one fault came to."""

    group: str
    name: str
    good: int = 0
    failed: int = 0
    lost: int = 0
    recovery_s: float = 0.0
    problems: list[str] = field(default_factory=list)
    # What those read that were not answered well, and how many each.
    errors: dict[str, int] = field(default_factory=dict[str, int])
    not_run: str = ""

    def add(self, kind: str, offences: Sequence[str]) -> None:
        """Note the first offences of one kind."""
        self.problems += [f"{kind}: {one}" for one in offences[:3]]
        self.problems += [f"{kind}: and {len(offences) - 3} more"] if len(offences) > 3 else []


def run(site: Site, groups: Sequence[str], seconds: float, say: Callable[[str], None]) -> list[Row]:
    """Do the faults of `groups` for `seconds` in all, and stop the server with calls in flight at the end."""
    faults = [fault for fault in FAULTS if fault.group in groups]
    rows = list[Row]()
    tasks = asyncio.run(site.tasks())
    for fault in faults:
        row = Row(fault.group, fault.name, not_run=fault.hindrance(site))
        rows.append(row)
        if not row.not_run:
            say(f"{fault.group}: {fault.name} ...")
            try:
                asyncio.run(_under_load(site, fault, seconds / len(faults), row))
                asyncio.run(_settled(site, max(tasks.values()), row))
            except AssertionError as error:
                row.problems.append(str(error))
            if site.telemetry is not None:
                site.telemetry.scrape()
    say("SIGTERM ...")
    rows.append(asyncio.run(_stopped(site)))
    rows.append(_searched(site))
    return rows


async def _under_load(site: Site, fault: Fault, seconds: float, row: Row) -> None:
    port, groups = site.server.port, list[Callers]()
    async with AsyncExitStack() as load:
        for begun in (
            calling(port, site.calls, 4, pause_s=0.01),
            calling(port, site.calls, 1, pause_s=0.05, anew=True),
            calling(port, site.searches, 2, pause_s=0.05),
        ):
            groups.append(await load.enter_async_context(begun))
        await asyncio.sleep(0.3)
        workers = site.server.workers()
        await asyncio.to_thread(fault.begin, site)
        if fault.group == "identity":
            groups.append(await load.enter_async_context(calling(port, site.rotated, 1, pause_s=0.05)))
        ended_at = await _until_ended(site, fault, seconds, workers)
        await _until_quiet(groups, ended_at)
    answers = [answer for callers in groups for answer in callers.answers]
    lost = [one for callers in groups for one in callers.lost]
    _judge(site, fault, row, answers, lost, ended_at)


async def _until_ended(site: Site, fault: Fault, seconds: float, workers: dict[int, int]) -> float:
    """Return when the fault had ended: a killed worker at once, a stopped one when the supervisor gave it up."""
    begun_at = time.monotonic()
    await asyncio.sleep(seconds)
    await asyncio.to_thread(fault.end, site)
    if not fault.ends_worker:
        return time.monotonic()
    given_up_at = begun_at + (GIVEN_UP_S if fault.ends_worker == "stopped" else 0)
    await until(lambda: site.server.workers() != workers, _STARTED_S, "no worker took the place of the one that ended")
    return given_up_at


async def _until_quiet(groups: list[Callers], ended_at: float) -> None:
    """Wait until everybody was answered well for a while, or for longer than they should have to."""
    while time.monotonic() < ended_at + 2 * RECOVERY_S:
        await asyncio.sleep(0.25)
        since = time.monotonic() - 1.0
        bad = [one.at for callers in groups for one in callers.answers if not one.is_good]
        bad += [one.at for callers in groups for one in callers.lost]
        good = all(any(one.is_good and one.at > ended_at for one in callers.answers) for callers in groups)
        if good and since > ended_at and max(bad, default=0.0) < since:
            return


def _judge(site: Site, fault: Fault, row: Row, answers: list[Answer], lost: list[Lost], ended_at: float) -> None:
    row.good = sum(answer.is_good for answer in answers)
    row.failed, row.lost = len(answers) - row.good, len(lost)
    row.errors = dict(Counter(checks.said(answer) for answer in answers if not answer.is_good))
    site.answers += answers
    row.add("foreign rows", checks.foreign_rows(answers))
    row.add("undocumented", checks.undocumented(answers))
    row.add("not recorded", checks.unrecorded(answers, site.server.trail))
    row.add("trail", checks.broken(site.server.trail, PUBLIC))
    if not fault.ends_worker:
        row.add("without an answer", [one.why for one in lost])
    row.recovery_s, offences = checks.late(answers, lost, ended_at, RECOVERY_S)
    row.add("recovery", offences)
    after = {answer.call.tool for answer in answers if answer.is_good and answer.at > ended_at}
    row.add("recovery", [f"{tool} never" for tool in {"query_claims", "search_policies"} - after])


async def _settled(site: Site, tasks: int, row: Row) -> None:
    """Look for what is left behind, now that nobody calls."""
    try:
        await until(lambda: site.databases.connections() <= _CONNECTIONS, _SETTLED_S)
    except AssertionError:
        row.add("connections", [f"{site.databases.connections()} of {_CONNECTIONS}"])
    found = await site.tasks()
    # The look itself, and a proof that runs just now.
    row.add("tasks", [f"{number} beside {tasks} at the start" for number in found.values() if number > tasks + 3])


async def _stopped(site: Site) -> Row:
    """Stop the server with calls in flight: each is answered."""
    row = Row("processes", f"SIGTERM with {_IN_FLIGHT} calls in flight")
    site.store.hang(on=True)
    with opened(site.server.port, _IN_FLIGHT) as lines:
        calls: list[Any] = [
            asyncio.create_task(line.send(site.searches[place % len(site.searches)]))
            for place, line in enumerate(lines)
        ]
        await asyncio.sleep(0.3)
        site.server.tell(signal.SIGTERM)
        await asyncio.sleep(0.3)
        site.store.hang(on=False)
        found = await asyncio.gather(*calls, return_exceptions=True)
    answers = [one for one in found if isinstance(one, Answer)]
    code = await asyncio.to_thread(site.server.stop)
    row.good = sum(answer.is_good for answer in answers)
    row.failed, row.lost = len(answers) - row.good, len(found) - len(answers)
    row.add("without an answer", [repr(one) for one in found if not isinstance(one, Answer)])
    row.add("undocumented", checks.undocumented(answers))
    row.add("foreign rows", checks.foreign_rows(answers))
    row.add("not recorded", checks.unrecorded(answers, site.server.trail))
    row.add("trail", checks.broken(site.server.trail, PUBLIC))
    row.add("counted", checks.uncounted(site.answers, site.server.trail))
    row.add("exit code", [str(code)] if code else [])
    return row


def _searched(site: Site) -> Row:
    """Look for every secret in everything that the run has left."""
    more = dict[str, bytes]()
    if site.telemetry is not None:
        more = {"metrics": bytes(site.telemetry.scraped), "traces": bytes(site.telemetry.received)}
    files = list(left_behind(site.server, site.folder, more))
    canaries = site.canaries.all()
    row = Row(
        "secrets", f"{len(canaries)} secrets in {len(files)} files, {sum(len(one) for _, one in files) // 1024} KiB"
    )
    row.add("found", list(checks.found(canaries, files)))
    row.add("empty", [name for name, content in more.items() if not content])
    return row
