"""Poolers and proxies in front of the database: each row works, or is refused at the start with the remedy.

The requirements R172, R175.
"""

import asyncio
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr
from support.pooler import (
    NO_PGBOUNCER,
    PGBOUNCER,
    multiplexer,
    pgbouncer,
    pgbouncer_version,
    proxy,
    refuses_options,
    through,
    wants_an_endpoint,
)
from support.server_of_its_own import server_of_its_own

from server.administration.administrator import administrator
from server.catalog.loading import load_catalog
from server.database.pool import Pool
from server.database.poolers import refusal
from server.doctor.examination import examine
from server.errors import StartupError, UnreachableError
from server.settings import DatabaseSettings, Settings

WITH_NAMES = (1, 21)
Front = Callable[[list[str]], AbstractContextManager[int]]


def bouncer(mode: str, **more: str) -> Front:
    return lambda urls: pgbouncer(urls, mode, **more)


def small_proxy(refuses: Callable[[dict[str, str]], str | None]) -> Front:
    @contextmanager
    def front(urls: list[str]) -> Generator[int]:
        with proxy(urls[0], refuses) as found:
            yield found.port

    return front


@contextmanager
def sharing_proxy(urls: list[str]) -> Generator[int]:
    with multiplexer(urls[0]) as found:
        yield found.port


@dataclass(frozen=True)
class Row:
    """One row of the table in docs/database.md: what stands in front, what is set, and what comes of it."""

    front: str
    settings: str
    outcome: str
    start: Front
    query: str = ""
    database: Mapping[str, Any] = field(default_factory=dict[str, Any])
    refused: str = ""
    needs: tuple[int, int] = (1, 18)


NO_NAMES = {"prepared_statements": False}
FALSE = "`prepared_statements = false`"
SHARED = "set database.prepared_statements = false, or use a pool in session mode"
MATRIX = (
    Row("PgBouncer, `pool_mode = session`", "", "works", bouncer("session")),
    Row("PgBouncer, `pool_mode = session`", FALSE, "works", bouncer("session"), database=NO_NAMES),
    Row("PgBouncer, `pool_mode = transaction`", "", "refused", bouncer("transaction"), refused=SHARED),
    Row("PgBouncer, `pool_mode = transaction`", FALSE, "works", bouncer("transaction"), database=NO_NAMES),
    Row(
        "PgBouncer from 1.21 on, `pool_mode = transaction`, `max_prepared_statements = 100`",
        "",
        "refused",
        bouncer("transaction", max_prepared_statements="100"),
        refused=SHARED,
        needs=WITH_NAMES,
    ),
    Row(
        "PgBouncer from 1.21 on, `pool_mode = transaction`, `max_prepared_statements = 100`",
        FALSE,
        "works",
        bouncer("transaction", max_prepared_statements="100"),
        database=NO_NAMES,
        needs=WITH_NAMES,
    ),
    Row(
        "PgBouncer, `pool_mode = transaction`, `server_round_robin = 1`",
        "",
        "refused",
        bouncer("transaction", server_round_robin="1", min_pool_size="3"),
        refused=SHARED,
    ),
    Row(
        "PgBouncer, `pool_mode = statement`",
        FALSE,
        "refused",
        bouncer("statement"),
        database=NO_NAMES,
        refused="use a pool in transaction mode",
    ),
    Row(
        "PgBouncer, `pool_mode = session`",
        "`?options=…` in the URL",
        "refused",
        bouncer("session"),
        query="?options=-c%20geqo%3Doff",
        refused="remove it from database.url and from PGOPTIONS, or name it in ignore_startup_parameters",
    ),
    Row("RDS Proxy", "", "works", sharing_proxy),
    Row(
        "RDS Proxy",
        "`?options=…` in the URL",
        "refused",
        small_proxy(refuses_options),
        query="?options=-c%20geqo%3Doff",
        refused="remove options from database.url, and unset PGOPTIONS",
    ),
    Row(
        "Neon's proxy, without a name by TLS",
        "`?options=endpoint%3D…` in the URL",
        "works",
        small_proxy(wants_an_endpoint),
        query="?options=endpoint%3Dep-cool-1",
    ),
    Row(
        "Neon's proxy, without a name by TLS",
        "",
        "refused",
        small_proxy(wants_an_endpoint),
        refused="add options=endpoint%3D<endpoint id> to database.url",
    ),
)
NAMES = [f"{row.front} {row.settings}".strip() for row in MATRIX]


def _or_skip(row: Row) -> None:
    if not row.front.startswith("PgBouncer"):
        return
    if PGBOUNCER is None:
        pytest.skip(NO_PGBOUNCER)
    if pgbouncer_version() < row.needs:
        pytest.skip(f"this pgbouncer is older than {'.'.join(map(str, row.needs))}, which the row needs")


def settings_of(stack, url: str, **database: Any) -> Settings:
    changed = stack.settings.database.model_copy(update={"url": SecretStr(url), **database})
    return stack.settings.model_copy(update={"database": changed})


# What another row shows in part; for longer runs alone.
_LONG = (1, 6, 8)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=name, marks=[pytest.mark.slow] if place in _LONG else [])
        for place, (row, name) in enumerate(zip(MATRIX, NAMES, strict=True))
    ],
)
def test_case_05_each_row_works_or_is_refused_at_the_start_with_the_remedy(stack, row: Row) -> None:
    _or_skip(row)
    url = stack.addresses.database_url
    with row.start([url, stack.admin_url]) as port:
        reached = through(url, port) + row.query
        settings = settings_of(stack, reached, **row.database)
        if row.refused:
            for _ in range(2):
                with pytest.raises(StartupError) as refused:
                    examine(settings, load_catalog(settings.catalog))
                assert not isinstance(refused.value, UnreachableError)
                assert row.refused in str(refused.value)
                assert "isolation" not in str(refused.value)
            return
        # The administrator's counts too: theirs is a connection to the database itself.
        counted = settings_of(stack, reached, admin_url=SecretStr(stack.admin_url), **row.database)
        assert examine(counted, load_catalog(settings.catalog), admin=True).holds
        with server_of_its_own(stack, url=SecretStr(reached), **row.database) as server:
            assert _right_calls(server, 24) == 24


def _right_calls(server, count: int) -> int:
    """Return how many of the calls, four at a time, give their tenant's claims and no others."""
    right: list[bool] = []

    def call() -> None:
        for _ in range(count // 4):
            result = server.call("query_claims", timeout=30)
            claims = [] if result["isError"] else result["structuredContent"]["claims"]
            right.append({claim["claim_number"][:6] for claim in claims} == {"CLM-A-"})

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    return sum(right)


@pytest.mark.skipif(PGBOUNCER is None, reason=NO_PGBOUNCER)
def test_through_a_pool_in_transaction_mode_no_setting_and_no_context_is_left_behind(stack) -> None:
    """What the next client of the pooler would meet; and the limit of a statement holds though no session has it."""
    url = stack.addresses.database_url

    async def run(database: DatabaseSettings) -> object:
        pool = Pool(database)
        await pool.open()
        inside = await pool.run(
            b"SELECT current_setting('statement_timeout'), current_setting('DateStyle'), "
            b"current_setting('transaction_read_only')",
            (),
            None,
        )
        with pytest.raises(psycopg.errors.QueryCanceled):
            await pool.run(b"SELECT pg_sleep(10)", (), None)
        await pool.run(b"SELECT set_config('tenancy.context', 'left', true)", (), None)
        await pool.close()
        return inside

    with pgbouncer([url], "transaction", default_pool_size="1") as port:
        settings = settings_of(stack, through(url, port), prepared_statements=False, statement_timeout_ms=700)
        assert asyncio.run(run(settings.database)) == (b"700ms", b"ISO, YMD", b"on")
        with psycopg.connect(through(url, port), prepare_threshold=None, autocommit=True) as next_client:
            found = next_client.execute(
                "SELECT current_setting('statement_timeout'), current_setting('tenancy.context', true)"
            ).fetchone()
        assert found == ("5s", "")


@pytest.mark.skipif(PGBOUNCER is None, reason=NO_PGBOUNCER)
def test_an_administrator_behind_a_pool_in_transaction_mode_is_refused(stack) -> None:
    """Its lock would be kept by a connection that nobody has any longer."""
    with (
        pgbouncer([stack.admin_url], "transaction") as port,
        pytest.raises(StartupError, match="name the database itself there, or a pool in session mode"),
        administrator(through(stack.admin_url, port)),
    ):
        pass


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('prepared statement "_pg3_0" already exists', "the pooler shares prepared statements"),
        ('prepared statement "_pg3_0" does not exist', "the pooler shares prepared statements"),
        ("FATAL:  unsupported startup parameter: search_path", "PgBouncer refuses a startup parameter"),
        ("FATAL:  password authentication failed", None),
    ],
)
def test_the_refusal_of_a_pooler_is_reported_in_our_words(said, expected) -> None:
    sentence = refusal(f"connection failed: {said}\nmore", "database.url")
    assert sentence is None if expected is None else str(sentence).startswith(expected)


def test_the_document_has_the_same_rows_as_the_matrix() -> None:
    document = (Path(__file__).parents[1] / "docs" / "database.md").read_text(encoding="utf-8")
    section = document.partition("## Poolers and proxies")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith(("| PgBouncer", "| RDS", "| Neon"))]
    assert rows == [f"| {row.front} | {row.settings or '(nothing)'} | {_outcome(row)} |" for row in MATRIX]


def _outcome(row: Row) -> str:
    return f'refused: "{row.refused}"' if row.refused else row.outcome
