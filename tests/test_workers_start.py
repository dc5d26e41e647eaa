"""How a server starts, reloads and ends: what cannot be served is one line, and what needs a restart is said."""

import asyncio
import os
import signal
import time

import psycopg
import pytest
from pydantic import SecretStr, ValidationError
from support.audit import breaks
from support.callers import calling, opened, until
from support.logs import own_logs
from support.real_server import RealServer
from test_workers import COUNT, NOT_RELOADED, begun

from server.audit.files import trail_files
from server.database.room import require_room
from server.errors import StartupError
from server.settings import DatabaseSettings, Settings
from server.workers.loads import Loads
from server.workers.seat import Seat
from server.workers.share import WorkerPlace
from server.workers.vital_signs import VitalSigns, cpu_ticks


async def serves(server: RealServer) -> bool:
    with opened(server.port) as (line,):
        try:
            return (await line.send(server.call())).is_good
        except OSError:
            return False


async def until_serving(server: RealServer) -> None:
    while not await serves(server):  # noqa: ASYNC110  # of another process
        await asyncio.sleep(0.05)


def test_one_worker_reloads_too_and_says_what_needs_a_restart(stack, tmp_path) -> None:
    async def run(server: RealServer) -> None:
        await until_serving(server)
        (server.folder / "more" / "count.toml").write_text(COUNT)
        server.write(port=server.port + 1, instructions="Ask for claims.")
        async with calling(server.port, [server.call()], 2) as callers:
            server.tell(signal.SIGHUP)
            await until(lambda: server.log("reloaded"))
            count = len(callers.answers)
            await until(lambda: len(callers.answers) > count + 5)
        assert all(answer.is_good for answer in callers.answers)
        assert callers.lost == []
        (line,) = server.log("reloaded")
        assert line["changed"] == ["instructions", "catalog sql_tools"]
        (line,) = server.log("these settings change only with a restart")
        assert line["settings"] == ["port"]
        # A new file of the trail was begun, and both verify.
        assert len(list(trail_files(server.trail))) == 2
        server.stop()
        assert {answer.request for answer in callers.answers} <= server.recorded()
        assert breaks(server.trail) == []

    with begun(stack, tmp_path) as server:
        asyncio.run(run(server))


@pytest.mark.slow
def test_a_worker_that_cannot_start_ends_the_server_with_its_reason_in_one_line(stack, tmp_path) -> None:
    with begun(stack, tmp_path, workers=2, audit={"path": "more"}) as server:
        assert server.process is not None
        assert server.process.wait(60) == 1
        assert server.said().startswith("tenantgate: a worker could not start: the audit trail ")
        assert server.said().count("\n") == 0


def test_each_worker_has_its_part_of_the_connections_and_together_they_have_all(stack) -> None:
    settings = stack.settings.model_copy(
        update={"database": stack.settings.database.model_copy(update={"pool_size": 8, "connections_per_tenant": 5})}
    )
    shares = [WorkerPlace(worker, 3).share(settings).database for worker in range(3)]
    assert [share.pool_size for share in shares] == [3, 3, 2]
    assert {share.connections_per_tenant for share in shares} == {2}


def test_fewer_connections_than_workers_are_refused() -> None:
    assert Settings(workers=3, database=DatabaseSettings(pool_size=3)).workers == 3
    with pytest.raises(ValidationError, match=r"database\.pool_size: 2 connections are too few for 3 workers"):
        Settings(workers=3, database=DatabaseSettings(pool_size=2))


def test_a_database_without_room_for_all_connections_is_named_with_its_numbers(
    stack, admin: psycopg.Connection
) -> None:
    settings = stack.settings.database.model_copy(update={"pool_size": 96})
    with pytest.raises(
        StartupError, match=r"may open 100 connections .*workers = 2\), but the login may have only 97 \(max_con"
    ):
        require_room(settings, 2)
    # A pooler shares its connections: what the database can hold says nothing of it.
    require_room(settings.model_copy(update={"prepared_statements": False}), 2)
    with psycopg.connect(stack.admin_url), own_logs() as logs:
        require_room(settings.model_copy(update={"pool_size": 95}), 1)
    assert [line["log_level"] for line in logs] == ["warning"]
    admin.execute("ALTER ROLE app_user CONNECTION LIMIT 60")
    try:
        with pytest.raises(StartupError, match=r"the login may have only 60 \(.*the login's own limit 60\); lower"):
            require_room(settings.model_copy(update={"pool_size": 64}), 1)
    finally:
        admin.execute("ALTER ROLE app_user CONNECTION LIMIT -1")
    # One that is away is reached later.
    require_room(settings.model_copy(update={"url": SecretStr("postgresql://a:b@127.0.0.1:1/x")}), 2)


def test_workers_that_end_early_are_replaced_later_each_time() -> None:
    async def run() -> None:
        seat = Seat(WorkerPlace(), None, Loads.begun(1))  # type: ignore[arg-type]
        assert not seat._goes_on(3)
        assert seat.failure == "it ended with exit code 3; read its last lines in the log"
        seat.has_served, seat._unwell = True, 0
        pauses = [seat._pause_s() for _ in range(9) if seat._goes_on(-9)]
        assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
        seat.said = {"serving": True}
        assert seat._goes_on(-9)
        assert seat._pause_s() == 0

    asyncio.run(run())


def test_a_worker_that_is_late_is_given_longer_while_it_works(monkeypatch) -> None:
    work, calls = [7], list[str]()

    def ticks(_process: int) -> int:
        return work[0]

    monkeypatch.setattr("server.workers.vital_signs.cpu_ticks", ticks)
    signs = VitalSigns(1, {})

    def judge(silent_s: float, worked: int | None) -> int | None:
        return signs._judge(silent_s, worked, lambda: calls.append("noticed"), lambda: calls.append("given up"))

    assert (judge(1.0, None), judge(1.9, None), judge(3.9, 7)) == (None, 7, 7)
    assert calls == ["noticed"]
    assert judge(4.1, 7) == 7
    assert calls == ["noticed", "given up"]
    work[0] = 8
    assert (judge(4.1, 7), judge(11.9, 7)) == (7, 7)
    assert len(calls) == 2
    assert judge(12.1, 7) == 7
    assert len(calls) == 3
    assert judge(0.2, 7) is None


def test_the_time_that_a_process_has_worked_grows() -> None:
    assert cpu_ticks(0) == 0
    before = cpu_ticks(os.getpid())
    assert before > 0
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    assert cpu_ticks(os.getpid()) > before


@pytest.mark.slow
def test_a_worker_that_cannot_be_replaced_is_tried_again_while_the_others_serve(stack, tmp_path) -> None:
    async def run(server: RealServer) -> None:
        await until(lambda: len(server.workers()) == 2)
        (server.folder / "more" / "broken.toml").write_text("[[table")
        before = server.workers()
        os.kill(before[0], signal.SIGKILL)
        await until(lambda: len(server.log("workers end again and again; the next one waits")) > 1)
        ends = server.log("a worker ended; another one takes its place")
        assert "is not valid TOML" in ends[1]["problem"]
        assert await serves(server)
        server.tell(signal.SIGHUP)
        await until(lambda: server.log(NOT_RELOADED))
        (server.folder / "more" / "broken.toml").unlink()
        await until(lambda: server.workers()[0] != before[0])
        server.tell(signal.SIGHUP)
        await until(lambda: len(server.log("reloaded")) == 2)

    with begun(stack, tmp_path, workers=2) as server:
        asyncio.run(run(server))
