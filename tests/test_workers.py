"""A real server of two workers: a worker that is lost, stopped or told to reload costs no more than it must."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from support.audit import breaks
from support.callers import calling, opened, until
from support.real_server import RealServer, beside
from support.server_of_its_own import SLEEP

from server.dev.stack import Stack
from server.workers.loads import Loads

COUNT = """
[[tool]]
name = "count_claims"
title = "Count claims"
description = "How many claims there are."
scope = "claims:read"
sql = "SELECT count(*)::int4 AS number FROM app.claims"
max_rows = 1
columns.number = { type = "integer" }
"""
ABSENT = """
[[table]]
name = "app.nothing"
tenant = "tenant_id"
key = ["id"]
scope = "claims:read"
description = "A table that is not there."
list = { tool = "query_nothing", title = "Nothing", description = "Nothing.", sort = "id" }
columns.id = { type = "integer", sort = true }
"""
NOT_RELOADED = "not reloaded; the previous settings and catalog stay in use"


@contextmanager
def begun(stack, folder: Path, **settings: Any) -> Generator[RealServer]:
    (folder / "more").mkdir()
    (folder / "more" / "sleep.py").write_text(SLEEP)
    with beside(stack, folder, catalog=["sample", "more"], **settings) as running:
        running.start()
        yield running


@pytest.fixture(scope="module")
def server(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """Two workers, for every test of this file; each leaves two behind, the last one none."""
    with begun(stack, tmp_path_factory.mktemp("workers"), workers=2) as running:
        asyncio.run(until(lambda: len(running.workers()) == 2))
        yield running


def connections(server: RealServer) -> list[int]:
    """Return how many client connections each worker has, as the kernel says."""
    mark = f":{server.port:04X} "
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines() if mark in line]
    here = {line[9] for line in lines if f"{line[1]} ".endswith(mark) and line[3] == "01"}
    return [len(here & _sockets(process)) for process in server.workers().values()]


def _sockets(process: int) -> set[str]:
    found = (str(one.readlink()) for one in Path(f"/proc/{process}/fd").iterdir())
    return {name[8:-1] for name in found if name.startswith("socket:[")}


async def _spread(server: RealServer) -> None:
    with opened(server.port, 32) as lines:
        for line in lines:
            await line.open()
        await until(lambda: sum(connections(server)) == 32)
        assert max(connections(server)) - min(connections(server)) <= 4, connections(server)


def test_connections_spread_evenly_over_the_workers(server) -> None:
    asyncio.run(_spread(server))


def test_the_worker_with_the_fewest_connections_goes_first_and_one_that_is_away_is_not_waited_for() -> None:
    loads = Loads.begun(3)
    loads.put(0, 5)
    loads.put(1, 3)
    assert [loads.before(worker) for worker in range(2)] == [1, 0]
    loads.put(2, 1)
    assert [loads.before(worker) for worker in range(3)] == [2, 1, 0]
    loads.leave(1)
    assert loads.before(0) == 1


def test_a_reload_loses_no_call_and_brings_what_was_declared_meanwhile(server) -> None:
    async def run() -> None:
        with opened(server.port) as (line,):
            reloads = len(server.log("reloaded"))
            assert "Unknown tool" in (await line.send(server.call("count_claims"))).body.decode()
            async with (
                calling(server.port, [server.call()], 4) as kept,
                calling(server.port, [server.call()], 2, anew=True) as anew,
            ):
                await until(lambda: len(kept.answers) > 20)
                (server.folder / "more" / "count.toml").write_text(COUNT)
                server.tell(signal.SIGHUP)
                await until(lambda: len(server.log("reloaded")) == reloads + 2)
                count = len(kept.answers) + len(anew.answers)
                await until(lambda: len(kept.answers) + len(anew.answers) > count + 20)
            assert (kept.lost, anew.lost) == ([], [])
            assert kept.statuses.keys() | anew.statuses.keys() == {200}
            assert all(answer.is_good for answer in kept.answers + anew.answers)
            # The connection of before, too.
            answer = await line.send(server.call("count_claims"))
            assert answer.result["structuredContent"]["rows"] == [{"number": 3}]
            assert {tuple(line["changed"]) for line in server.log("reloaded")[reloads:]} == {("catalog sql_tools",)}

    asyncio.run(run())


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [("broken.toml", "[[table]\n", "is not valid TOML"), ("absent.toml", ABSENT, "isolation is not proved")],
    ids=["broken file", "nothing to prove"],
)
def test_a_reload_with_a_mistake_changes_nothing_and_says_why(server, name, text, problem) -> None:
    """R220."""

    async def run() -> None:
        said, reloads = len(server.log(NOT_RELOADED)), len(server.log("reloaded"))
        file = server.folder / "more" / name
        file.write_text(text)
        async with calling(server.port, [server.call()], 2) as callers:
            server.tell(signal.SIGHUP)
            await until(lambda: len(server.log(NOT_RELOADED)) > said)
        file.unlink()
        (line,) = server.log(NOT_RELOADED)[said:]
        assert problem in line["problem"]
        assert all(answer.is_good for answer in callers.answers)
        assert (callers.lost, len(server.log("reloaded"))) == ([], reloads)

    asyncio.run(run())


def test_a_killed_worker_is_replaced_and_costs_the_calls_that_it_had_begun(server) -> None:
    """R223."""

    async def run() -> None:
        before = server.workers()
        async with calling(server.port, [server.call()], 4) as callers:
            await until(lambda: len(callers.answers) > 20)
            os.kill(before[1], signal.SIGKILL)
            await until(lambda: bool(server.workers() != before))
        (line,) = server.log("a worker ended; another one takes its place")
        assert (line["worker"], line["code"], line["restarts"]) == (1, "signal SIGKILL", 0)
        assert server.workers()[0] == before[0]
        assert callers.statuses.keys() == {200}
        # One call of each connection that it had, and whoever was in its queue is answered by the other.
        assert len(callers.lost) <= 4
        assert {answer.request for answer in callers.answers} <= server.recorded()
        assert breaks(server.trail) == []

    asyncio.run(run())


@pytest.mark.slow
def test_a_worker_that_does_not_answer_is_noticed_within_two_seconds_and_replaced(server) -> None:
    async def run() -> None:
        before = server.workers()
        async with calling(server.port, [server.call()], 2, anew=True) as callers:
            await until(lambda: callers.answers)
            os.kill(before[0], signal.SIGSTOP)
            await until(lambda: bool(server.workers() != before))
        (noticed,) = server.log("a worker does not answer")
        (ended,) = server.log("a worker does not answer and is ended")
        assert noticed["worker"] == ended["worker"] == 0
        assert _seconds(noticed, ended) < 4
        assert callers.statuses.keys() == {200}
        assert breaks(server.trail) == []

    asyncio.run(run())


def test_sigterm_has_calls_in_flight_answered_and_is_not_held_up_by_a_stopped_worker(server) -> None:
    async def run() -> None:
        with opened(server.port, 20) as lines:
            calls = [
                asyncio.create_task(line.send(server.call("sleep", f"broker-{'ab'[place % 2]}", seconds=1.0)))
                for place, line in enumerate(lines)
            ]
            await until(lambda: sum(connections(server)) == 20)
            await asyncio.sleep(0.3)
            server.tell(signal.SIGTERM)
            answers = await asyncio.gather(*calls)
            assert Counter(answer.status for answer in answers) == {200: 20}
            # All are answered, most of them with rows; a call that waits too long for a connection gets an error.
            assert sum(answer.is_good for answer in answers) >= 8
            assert server.process is not None
            assert await asyncio.to_thread(server.process.wait, 20) == 0
            assert {answer.request for answer in answers} <= server.recorded()
            assert breaks(server.trail) == []

    asyncio.run(run())


def _seconds(one: dict[str, str], other: dict[str, str]) -> float:
    times = [datetime.fromisoformat(line["timestamp"]) for line in (one, other)]
    return (times[1] - times[0]).total_seconds()
