"""The direct path to the database: it sends what psycopg sends, mixes nothing up, and survives lost connections."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
import pytest
from psycopg.adapt import PyFormat, Transformer
from pydantic import SecretStr
from support.psycopg_way import PsycopgWay

from server.database.parameters import dumped
from server.database.pool import Pool
from server.settings import DatabaseSettings

CALLS = 2_000
TEXTS = ["", "x", "O'Brien", 'quote " \\ \u2028', "日本", "😀", "tab\there", "{a,b}", "NULL", "x" * 3_000]
MOMENTS = [datetime(2026, 2, 28, 23, 59, 59, 999_999, UTC), datetime(1, 1, 1, tzinfo=UTC)]
# What is declared as this type in a catalog, and values of the kinds that tools bind.
VALUES: dict[str, list[object]] = {
    "text": [None, *TEXTS],
    "smallint": [None, 0, -1, 2**15 - 1, -(2**15), "7"],
    "bigint": [None, 0, -1, 2**15, -(2**15) - 1, 2**31, 2**63 - 1, -(2**63), "7"],
    "numeric": [None, 0, 2**70, Decimal("1.50"), Decimal("-0E-20"), Decimal("1E+30"), "12.340", "NaN"],
    "float8": [None, 0.1, -1e300, float("inf"), "0.30000000000000004"],
    "boolean": [None, True, False, "true", "false"],
    "date": [None, date(1, 1, 1), date(9999, 12, 31), "2026-02-28", "10000-01-01", "infinity"],
    "timestamptz": [None, *MOMENTS, datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=5.5))), "2026-01-01T00:00Z"],
    "timestamp": [None, datetime(2026, 2, 28, 1, 2, 3), "2026-01-01 00:00:00.5"],  # noqa: DTZ001  # without a zone
    "uuid": [None, UUID(int=7), "bbb45cdb-87b1-46e7-88e4-feac1c8fefce"],
    "jsonb": [None, '{"a": [1, null, "x\\u0000y"]}', '{"a": "\\ud83d\\ude00"}', "null"],
    "bytea": [None, b"", b"\x00\xff"],
    "text[]": [None, [], ["a", None, "b,c", '"', "\\", "NULL"], "{a,b}"],
    "bigint[]": [None, [1, 2**40], "{1,NULL}"],
    "numeric[]": [[Decimal("1.5"), None], "{1.50}"],
    "date[]": [[date(2026, 1, 1)], "{2026-01-01}"],
    "uuid[]": [[UUID(int=7)]],
    "boolean[]": [[True, False, None]],
}


def settings_of(stack: Any, **changed: Any) -> DatabaseSettings:
    return stack.settings.database.model_copy(update={"pool_size": 1} | changed)


@asynccontextmanager
async def opened_pool(settings: DatabaseSettings) -> AsyncGenerator[Pool]:
    pool = Pool(settings)
    await pool.open()
    try:
        yield pool
    finally:
        await pool.close()


async def outcome(run: Callable[..., Any], *arguments: Any) -> object:
    """Return the answer, or of an error what the server makes its sentence from."""
    try:
        return await run(*arguments)
    except psycopg.Error as error:
        return type(error), error.sqlstate


@pytest.mark.parametrize("kind", VALUES)
def test_a_value_is_sent_with_the_type_form_and_bytes_that_psycopg_sends(kind: str) -> None:
    for value in VALUES[kind]:
        transformer = Transformer()
        sent = [one if one is None else bytes(one) for one in transformer.dump_sequence([value], [PyFormat.AUTO])]
        assert dumped([value]) == (sent, transformer.types, transformer.formats), value


def test_a_text_with_a_character_that_postgresql_cannot_hold_is_refused_before_it_is_sent() -> None:
    with pytest.raises(psycopg.DataError, match="NUL"):
        dumped(["a\0b"])


@pytest.mark.parametrize("own", [True, False], ids=["prepared", "through a pooler"])
def test_r240_random_calls_are_answered_as_by_psycopg(stack, own: bool) -> None:
    """R240: the slow twin gives the same bytes or the same error for each of 2,000 calls."""
    chance = random.Random(240)

    def call() -> tuple[bytes, list[object]]:
        kinds = [chance.choice(list(VALUES)) for _ in range(chance.randint(1, 4))]
        shown = ", ".join(f"(${n}::{kind})::text, to_json(${n}::{kind})::text" for n, kind in enumerate(kinds, 1))
        return f"SELECT {shown} WHERE random() >= 0".encode(), [chance.choice(VALUES[kind]) for kind in kinds]

    async def run() -> None:
        twin = PsycopgWay(settings_of(stack))
        await twin.open()
        async with opened_pool(settings_of(stack, prepared_statements=own)) as pool:
            errors = 0
            for _ in range(CALLS if own else CALLS // 10):
                text, values = call()
                expected = await outcome(twin.run, text, values)
                assert await outcome(pool.run, text, values, None) == expected, (text, values)
                errors += isinstance(expected, tuple) and isinstance(expected[0], type)
            assert 0 < errors < CALLS // 2
        await twin.close()

    asyncio.run(run())


@pytest.mark.parametrize("own", [True, False], ids=["prepared", "through a pooler"])
def test_r241_no_caller_gets_the_answer_of_another_whatever_is_cancelled(stack, own: bool) -> None:
    """R241: hundreds of calls at once on three connections, a third of which leave at some moment."""
    chance = random.Random(241)
    wrong: list[object] = []
    left = 0

    async def one(pool: Pool, number: int) -> None:
        nonlocal left
        text = b"SELECT $1::text, pg_sleep($2::float8)::text" + b" " * (number % 5)
        work = asyncio.create_task(pool.run(text, (str(number), chance.choice(["0", "0.001", "0.01"])), number % 7))
        if number % 3 == 0:
            await asyncio.sleep(chance.random() * 0.05)
            left += work.cancel()
        try:
            row = await work
        except asyncio.CancelledError:
            return
        if row is None or row[0] != b"%d" % number:
            wrong.append((number, row))

    async def run() -> None:
        settings = settings_of(stack, pool_size=3, prepared_statements=own)
        async with opened_pool(settings) as pool:
            for first in range(0, 400, 80):
                await asyncio.gather(*(one(pool, number) for number in range(first, first + 80)))
            assert await pool.run(b"SELECT $1::text", ("last",), None) == (b"last",)

    asyncio.run(run())
    assert wrong == []
    assert left > 50


def test_a_statement_whose_caller_left_stops_in_the_database(stack, admin: psycopg.Connection) -> None:
    running = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(30), 241'"

    async def run() -> None:
        async with opened_pool(settings_of(stack)) as pool:
            before = await pool.run(b"SELECT pg_backend_pid()", (), None)
            work = asyncio.create_task(pool.run(b"SELECT pg_sleep(30), 241", (), None))
            while not admin.execute(running).fetchall():  # noqa: ASYNC110  # another process is waited for
                await asyncio.sleep(0.01)
            work.cancel()
            with pytest.raises(asyncio.CancelledError):
                await work
            # It waits for the connection, which is free when the statement is over.
            assert await pool.run(b"SELECT pg_backend_pid()", (), None) == before
            assert not admin.execute(running).fetchall()

    asyncio.run(run())


class Cutting:
    """A way to the database that ends the given connections in the middle of an answer of over `after` bytes."""

    def __init__(self, url: str, cuts: int, after: int) -> None:
        self._to = urlsplit(url)
        self._cuts = cuts
        self._after = after
        self.was_cut = 0

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        other_reader, other = await asyncio.open_connection(self._to.hostname, self._to.port)
        back = asyncio.create_task(self._forward(other_reader, writer, is_answer=True))
        await self._forward(reader, other, is_answer=False)
        await back

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        with closing(writer):
            while data := await reader.read(4096):
                if is_answer and b"cut-here" in data and self.was_cut < self._cuts:
                    self.was_cut += 1
                    writer.write(data[: self._after])
                    return
                writer.write(data)


@pytest.mark.parametrize("cuts", [1, 2])
def test_a_connection_that_is_cut_in_the_middle_of_an_answer_is_replaced_and_the_statement_repeated_once(
    stack, cuts: int
) -> None:
    text = b"SELECT 'cut-here' || repeat('x', 100000)"

    async def run() -> None:
        url = stack.addresses.database_url
        way = Cutting(url, cuts, 1_000)
        server = await asyncio.start_server(way.accept, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        through = url.replace(f":{urlsplit(url).port}/", f":{port}/")
        async with server, opened_pool(settings_of(stack, url=SecretStr(through))) as pool:
            if cuts == 1:
                assert await pool.run(text, (), None) == (b"cut-here" + b"x" * 100_000,)
            else:
                with pytest.raises(psycopg.OperationalError):
                    await pool.run(text, (), None)
            assert way.was_cut == cuts
            assert await pool.run(b"SELECT 1", (), None) == (b"1",)

    asyncio.run(run())


def test_a_statement_that_was_prepared_before_its_table_changed_is_prepared_again(stack, admin) -> None:
    """Of the server's own statements the columns never change; a search path or a view may bring it about."""
    admin.execute("CREATE SCHEMA altered")
    admin.execute("CREATE TABLE altered.t AS SELECT 1 AS a")
    text = b"SELECT * FROM altered.t"

    async def run() -> None:
        async with opened_pool(settings_of(stack, url=SecretStr(stack.admin_url))) as pool:
            assert await pool.run(text, (), None) == (b"1",)
            admin.execute("ALTER TABLE altered.t ADD b text DEFAULT 'new'")
            assert await pool.run(text, (), None) == (b"1", b"new")
            admin.execute("ALTER TABLE altered.t DROP a")
            assert await pool.run(text, (), None) == (b"new",)
            assert await pool.run(b"SELECT count(*) FROM pg_prepared_statements", (), None) == (b"3",)

    try:
        asyncio.run(run())
    finally:
        admin.execute("DROP SCHEMA altered CASCADE")


def test_a_statement_that_somebody_deallocated_is_prepared_again(stack) -> None:
    async def run() -> None:
        async with opened_pool(settings_of(stack)) as pool:
            assert await pool.run(b"SELECT 7", (), None) == (b"7",)
            await pool.run(b"DEALLOCATE ALL", (), None)
            assert await pool.run(b"SELECT 7", (), None) == (b"7",)

    asyncio.run(run())


def test_a_connection_keeps_a_hundred_prepared_statements(stack) -> None:
    async def run() -> tuple[bytes | None, ...] | None:
        async with opened_pool(settings_of(stack)) as pool:
            for number in [*range(150), *range(140, 150), 0]:
                assert await pool.run(b"SELECT %d" % number, (), None) == (b"%d" % number,)
            return await pool.run(b"SELECT count(*) FROM pg_prepared_statements", (), None)

    assert asyncio.run(run()) == (b"100",)


def test_connections_that_died_while_they_were_idle_are_not_used(stack, admin) -> None:
    """R242: all of them are terminated at once, and no call fails or waits for an attempt on a dead one."""
    pids = b"SELECT pg_backend_pid(), pg_sleep(0.05)::text"

    async def run() -> None:
        async with opened_pool(settings_of(stack, pool_size=4)) as pool:
            rows = await asyncio.gather(*(pool.run(pids, (), holder) for holder in range(4)))
            before = {row[0] for row in rows if row}
            admin.execute(f"SELECT pg_terminate_backend(p) FROM unnest(ARRAY{[int(one or 0) for one in before]}) AS p")
            rows = await asyncio.gather(*(pool.run(pids, (), holder) for holder in range(4)))
            assert before.isdisjoint({row[0] for row in rows if row})

    asyncio.run(run())
