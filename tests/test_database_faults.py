"""Whatever happens to the database, a caller learns whether to retry, nothing leaks, and the next call is clean."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import psycopg
import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs
from support.server_of_its_own import SLEEP, OwnServer, one_more_tool, server_of_its_own
from support.timed import timed

from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.preparation import prepare_database
from server.dev.stack import Stack

DOWN = "The database is not available; nothing was read. Retry in a few seconds."
SLOW = "The database took too long; nothing was read. Retry, or narrow the filters."
BUSY = "This tenant has too many calls running at once; nothing was read. Retry in a few seconds."
RUNNING = "SELECT pid FROM pg_stat_activity WHERE usename = 'app_user' AND state = 'active' AND query ~ 'pg_sleep'"


@pytest.fixture(scope="module", autouse=True)
def _sleep_tool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with one_more_tool(tmp_path_factory.mktemp("tools"), "sleep", SLEEP):
        yield


class OwnDatabase:
    """A database beside the stack's, which a test may stop and break; it comes back on the same port."""

    def __init__(self, postgres: EmbeddedPostgres, stack: Stack) -> None:
        self.postgres = postgres
        self.url = prepare_database(postgres, stack.settings.database.signing_keys()[0], stack.addresses.issuer)

    def server(self, stack: Stack, **database: Any):
        return server_of_its_own(stack, url=SecretStr(self.url), **database)

    def execute(self, text: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.postgres.admin_url, autocommit=True) as connection:
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def own(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[OwnDatabase]:
    folder = tmp_path_factory.mktemp("own")
    folder.chmod(0o711)
    with EmbeddedPostgres(folder / "postgres") as postgres:
        monkeypatch.setattr("server.dev.postgres.launcher._free_port", lambda: postgres.port)
        yield OwnDatabase(postgres, stack)


def text_of(server: OwnServer, tool: str = "query_claims", **arguments: object) -> str:
    result = server.call(tool, **arguments)
    assert result["isError"]
    assert "structuredContent" not in result
    return result["content"][0]["text"]


def numbers(server: OwnServer) -> list[str]:
    result = server.call("query_claims", timeout=30)
    assert not result["isError"], result
    return sorted(claim["claim_number"] for claim in result["structuredContent"]["claims"])


OF_MIKE = ["CLM-A-001", "CLM-A-002", "CLM-A-003"]


def eventually(condition: Callable[[], Any], within_s: float) -> Any:
    """Return what `condition` returns once that is true."""
    began = time.monotonic()
    while not (found := condition()):
        assert time.monotonic() - began < within_s
        time.sleep(0.05)
    return found


def readiness(server: OwnServer) -> int:
    return httpx2.get(f"{server.url}/readyz", timeout=10).status_code


@timed
def test_an_exhausted_pool_answers_within_two_seconds_and_recovers(stack) -> None:
    with server_of_its_own(stack, pool_size=1, connections_per_tenant=2) as server:
        assert numbers(server) == OF_MIKE  # the tenant is looked up, so that what follows waits for the claims alone
        busy = threading.Thread(target=server.call, args=("sleep",), kwargs={"seconds": 2.5})
        busy.start()
        time.sleep(0.3)
        began = time.monotonic()
        assert text_of(server) == BUSY
        assert 1.0 < time.monotonic() - began < 2.2
        busy.join()
        assert numbers(server) == OF_MIKE


@timed
def test_a_slow_statement_is_ended_by_the_database(stack, admin: psycopg.Connection) -> None:
    with server_of_its_own(stack, statement_timeout_ms=300) as server:
        began = time.monotonic()
        assert text_of(server, "sleep", seconds=5) == SLOW
        assert time.monotonic() - began < 1.5
        assert not admin.execute(RUNNING).fetchall()
        assert numbers(server) == OF_MIKE


@timed
def test_a_backend_that_no_longer_answers_is_given_up(stack, admin: psycopg.Connection) -> None:
    """The deadline of our own, for a database whose statement_timeout does not come."""
    with server_of_its_own(stack, statement_timeout_ms=400, pool_size=3) as server:
        assert numbers(server) == OF_MIKE
        answers: list[str] = []
        stuck = threading.Thread(target=lambda: answers.append(text_of(server, "sleep", seconds=5)))
        stuck.start()
        ((pid,),) = eventually(lambda: admin.execute(RUNNING).fetchall(), 3)
        os.kill(pid, signal.SIGSTOP)
        try:
            assert numbers(server) == OF_MIKE
            stuck.join(5)
            assert answers == [SLOW]
        finally:
            os.kill(pid, signal.SIGCONT)
        assert numbers(server) == OF_MIKE


@timed
def test_a_killed_backend_costs_one_repetition_or_one_retryable_error(stack, admin: psycopg.Connection) -> None:
    with server_of_its_own(stack) as server:
        assert numbers(server) == OF_MIKE

        def kill() -> None:
            eventually(lambda: admin.execute(f"SELECT pg_terminate_backend(pid) FROM ({RUNNING}) r").fetchall(), 3)

        answers: list[bool] = []
        for kills in (1, 2):
            call = threading.Thread(target=lambda: answers.append(server.call("sleep", seconds=0.5)["isError"]))
            call.start()
            for _ in range(kills):
                kill()
                time.sleep(0.2)
            call.join()
            assert numbers(server) == OF_MIKE
        assert answers == [False, True]


@timed
def test_a_database_that_is_down_at_start_is_reached_when_it_is_back(stack, own) -> None:
    own.postgres.stop()
    with own.server(stack) as server:
        assert httpx2.get(f"{server.url}/ping").status_code == 200
        assert readiness(server) == 503
        assert text_of(server) == DOWN
        own.postgres.start()
        eventually(lambda: readiness(server) == 200, 8)
        assert numbers(server) == OF_MIKE


def test_after_a_restart_of_the_database_no_call_fails(stack, own) -> None:
    """Every connection of the pool is dead then, and each is found out before a second attempt is spent on it."""
    with own.server(stack, pool_size=4) as server:
        callers = [threading.Thread(target=server.call, args=("sleep",), kwargs={"seconds": 0.3}) for _ in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        own.postgres.stop()
        own.postgres.start()
        assert [numbers(server) for _ in range(8)] == [OF_MIKE] * 8


@timed
def test_an_outage_is_reported_as_one_and_ends_when_the_database_is_back(stack, own) -> None:
    """R101: an outage, an empty result and a refusal are three different answers."""
    with own.server(stack) as server:
        assert numbers(server) == OF_MIKE
        assert server.call("query_claims", claim_number="CLM-NONE")["structuredContent"]["claims"] == []
        own.postgres.stop()
        began = time.monotonic()
        assert text_of(server) == DOWN
        assert time.monotonic() - began < 4
        assert readiness(server) == 503
        own.postgres.start()
        eventually(lambda: readiness(server) == 200, 8)
        assert numbers(server) == OF_MIKE


@timed
def test_a_locked_table_is_reported_as_slow(stack, own) -> None:
    with own.server(stack) as server, psycopg.connect(own.postgres.admin_url) as other:
        assert numbers(server) == OF_MIKE
        other.execute("LOCK TABLE app.claims IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        assert text_of(server) == SLOW
        assert time.monotonic() - began < 2
        other.rollback()
        assert numbers(server) == OF_MIKE


WITHHELD = "The database did not confirm your tenant; nothing was returned. The error was logged."


@pytest.mark.parametrize(
    ("sabotage", "event"),
    [
        (
            "CREATE OR REPLACE FUNCTION tenancy.current_tenant() RETURNS text LANGUAGE sql STABLE RETURN 'broker-b'",
            "the database enforced another tenant than the token's",
        ),
        ("UPDATE tenancy.keys SET inner_pad = outer_pad", "the database refused the tenant context"),
    ],
    ids=["another tenant enforced", "context refused"],
)
@pytest.mark.parametrize(
    ("tool", "statement"), [("query_claims", "list app.claims"), ("summarize_claims", "summarize app.claims")]
)
def test_a_database_that_does_not_confirm_the_tenant_is_critical_and_releases_nothing(
    stack, own, sabotage, event, tool, statement
) -> None:
    """R98 for claims: the answer is dropped, says nothing of why, and the operator reads a critical line."""
    with own.server(stack) as server:
        assert numbers(server) == OF_MIKE
        own.execute(sabotage)
        with capture_logs() as logs:
            assert text_of(server, tool) == WITHHELD
        critical = [(line["event"], line["statement"]) for line in logs if line["log_level"] == "critical"]
        assert critical[0] == (event, statement)


@pytest.mark.parametrize("arguments", [{}, {"limit": 3}, {"sort": "amount"}], ids=str)
def test_a_page_with_rows_of_two_tenants_is_withheld_even_without_row_level_security(stack, own, arguments) -> None:
    """R246: the rows' own tenants are compared, so a policy that is switched off while serving shows nothing."""
    with own.server(stack) as server:
        assert numbers(server) == OF_MIKE
        own.execute("ALTER TABLE app.claims DISABLE ROW LEVEL SECURITY")
        assert text_of(server, **arguments) == WITHHELD


@timed
def test_after_an_answer_of_another_tenant_nothing_is_read_until_isolation_is_proved_again(stack, own) -> None:
    """R246: a summary has no rows that could be compared, so it would show everybody's totals."""
    with own.server(stack) as server:
        totals = server.call("summarize_claims")
        # Then the next proof is due in minutes.
        time.sleep(2.1)
        own.execute("ALTER TABLE app.claims DISABLE ROW LEVEL SECURITY")
        assert text_of(server) == WITHHELD
        for _ in range(3):
            assert text_of(server, "summarize_claims") == text_of(server) == DOWN
        # Proofs are made meanwhile, and fail.
        time.sleep(3)
        assert text_of(server, "summarize_claims") == DOWN
        own.execute("ALTER TABLE app.claims ENABLE ROW LEVEL SECURITY")
        eventually(lambda: readiness(server) == 200, 8)
        assert server.call("summarize_claims")["structuredContent"] == totals["structuredContent"]


@timed
def test_an_answer_that_waited_meanwhile_is_not_shown_either(stack, own: OwnDatabase) -> None:
    """R246."""
    with own.server(stack) as server, psycopg.connect(own.postgres.admin_url) as other, ThreadPoolExecutor() as threads:
        assert numbers(server) == OF_MIKE
        own.execute("ALTER TABLE app.claims DISABLE ROW LEVEL SECURITY")
        own.execute("ALTER TABLE app.claims_by_day DISABLE ROW LEVEL SECURITY")
        other.execute("LOCK TABLE app.claims_by_day IN ACCESS EXCLUSIVE MODE")
        waiting = threads.submit(text_of, server, "summarize_claims")
        eventually(lambda: bool(own.execute("SELECT 1 FROM pg_locks WHERE NOT granted")), 1)
        assert text_of(server) == WITHHELD
        other.rollback()
        assert waiting.result() == DOWN


def test_a_page_with_rows_of_no_tenant_is_withheld_even_without_row_level_security(stack, own) -> None:
    """R246: the smallest and the largest of some tenants and NULL are the same."""
    with own.server(stack) as server:
        assert numbers(server) == OF_MIKE
        own.execute(
            "ALTER TABLE app.claims DISABLE ROW LEVEL SECURITY, DROP CONSTRAINT claims_pkey CASCADE,"
            " ALTER tenant_id DROP NOT NULL, DISABLE TRIGGER USER;"
            "UPDATE app.claims SET tenant_id = NULL WHERE tenant_id <> 'broker-a'"
        )
        assert text_of(server) == WITHHELD
