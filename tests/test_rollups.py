"""A summary is the same byte for byte with and without its roll-up, whatever was written, and a lost one is seen.

Covers R243 and R244.
"""

import random
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from adoption.place import place_for
from support.protected import KEY, LOGIN, Place, protected_database, shop

from server.catalog.checks import problems_of
from server.catalog.compile import CompiledTable
from server.catalog.declarations import CatalogFile, Table
from server.catalog.protection import protection_sql
from server.catalog.rollups import is_one_moment, rollup_of, with_rollups
from server.dev.stack import Stack
from server.doctor.contexts import signer_of
from server.doctor.declared import read_declared
from server.doctor.rollups import figure_offenders, rollup_offenders
from server.errors import StartupError

ALL = ["total", "average", "largest", "smallest"]
COLUMNS: dict[str, dict[str, Any]] = {
    "placed_at": {"type": "timestamp", "filter": "range", "period": True, "group": ["day", "week", "month", "year"]},
    "status": {"type": "text", "values": ["open", "paid"], "filter": True, "group": True},
    "kind": {"type": "text", "values": ["large", "small"], "filter": True, "group": True},
    "gift": {"type": "boolean", "filter": True, "group": True},
    "amount": {"type": "decimal", "column": "total", "measures": ALL},
    "pieces": {"type": "integer", "measures": ALL},
    "free": {"type": "decimal", "measures": ["total", "average"]},
    "weight": {"type": "decimal", "measures": ALL, "filter": "range"},
}
CREATED = (
    "CREATE TYPE shop.kind AS ENUM ('large', 'small')",
    (
        "CREATE TABLE shop.orders (id bigserial PRIMARY KEY, account text, placed_at {moment}, status varchar(10),"
        " kind shop.kind, gift boolean, total numeric(10, 2), pieces int, free numeric, weight float8, note text)"
    ),
    "CREATE INDEX ON shop.orders (account, placed_at)",
)
MOMENTS = {
    "timestamptz": "UTC",
    "timestamptz ": "America/Havana",  # clocks are set back at one o'clock, to midnight
    "timestamp": "UTC",
    "date": "UTC",
}


def orders(zone: str = "UTC", **said: Any) -> Table:
    summary = {"tool": "summarize_orders", "rollup": "day", "max_groups": 5000}
    given = {"name": "shop.orders", "tenant": "account", "scope": "o:r", "timezone": zone, "columns": COLUMNS}
    return Table.model_validate({**given, "summary": summary, **said})


@pytest.fixture(scope="module")
def place(stack: Stack) -> Iterator[Place]:
    with protected_database(stack.admin_url) as found:
        yield found


def made(place, table: Table) -> dict[str, Table]:
    """Protect a table and its roll-up with the SQL that is printed."""
    tables = with_rollups({table.name: table})
    place.protect(tables)
    return tables


class Writer:
    """Writes at random, as the application that owns the table does."""

    def __init__(self, place, seed: int) -> None:
        self.place = place
        self.random = random.Random(seed)

    def some(self, *values: str) -> str:
        return self.random.choice([*values, "NULL"])

    def row(self) -> str:
        number = self.random.randrange
        moment = self.random.choice(
            [f"'2026-11-0{number(1, 4)} 0{number(0, 8)}:{number(10, 60)}:00+00'"] * 8
            + ["NULL", "'infinity'", "'-infinity'", "'0044-03-15 BC'", f"'{number(1900, 2100)}-03-0{number(1, 9)}'"]
        )
        values = [
            self.random.choice(["'one'", "'one'", "'two'", "NULL"]),
            moment,
            self.some("'open'", "'paid'"),
            self.some("'large'", "'small'"),
            self.some("true", "false"),
            self.some(f"{number(-900, 90000) / 100}", "'NaN'" if number(40) == 0 else "7"),
            self.some(str(number(-5, 2**31 - 1))),
            self.some(f"{number(10**9)}.{number(10**6)}", "1.50", "2"),
            self.some(f"{self.random.uniform(-1e6, 1e6)!r}", "'Infinity'" if number(60) == 0 else "0.1"),
        ]
        return f"({', '.join(values)}, 'n')"

    def write(self) -> None:
        number = self.random.randrange
        rows = ", ".join(self.row() for _ in range(number(1, 6)))
        columns = "account, placed_at, status, kind, gift, total, pieces, free, weight, note"
        some = f"id % {number(2, 9)} = {number(0, 2)}"
        what = self.random.choices(
            [
                f"INSERT INTO shop.orders ({columns}) VALUES {rows}",
                (
                    f"UPDATE shop.orders SET total = total + 1, status = 'paid',"
                    f" placed_at = placed_at + interval '{number(0, 30)} hours' WHERE {some}"
                ),
                f"UPDATE shop.orders SET free = free * 1.00, note = 'other' WHERE {some}",
                f"UPDATE shop.orders SET account = 'two' WHERE {some} AND id % 5 = 1",
                f"DELETE FROM shop.orders WHERE {some} AND id % 3 = {number(0, 3)}",
                "TRUNCATE shop.orders",
                (
                    f"INSERT INTO shop.orders (id, {columns}) SELECT id, {columns} FROM shop.orders WHERE {some}"
                    " ON CONFLICT (id) DO UPDATE SET pieces = 1"
                ),
            ],
            weights=[40, 8, 4, 3, 6, 1, 3],
        )[0]
        with self.place.admin.transaction(force_rollback=number(8) == 0):
            self.place.run("SET LOCAL ROLE prot_owner", what)


def answer(place, statement, values: tuple[str, ...], tenant: str) -> str:
    """Return the JSON text of a statement, as the tenant is answered."""
    context = KEY.sign(person=("x", "y"), tenant=tenant, tier="", expiry_s=4_000_000_000, digest=statement.digest)
    return place.login.execute(statement.sent, (*values, context)).fetchall()[0][1]


GROUPS = [
    None,
    *(("placed_at", bucket) for bucket in ("day", "week", "month", "year")),
    ("status", None),
    ("kind", None),
    ("gift", None),
]
ASKED = [
    ((), ()),
    ((("placed_at", "from"),), ("2026-11-01",)),
    ((("placed_at", "before"),), ("10000-01-01",)),
    ((("placed_at", "from"), ("placed_at", "before")), ("2026-11-01", "2026-11-03")),
    ((("status", "equals"), ("placed_at", "before")), ("open", "2026-11-02")),
    ((("kind", "equals"), ("gift", "equals")), ("large", "true")),
]


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_summary_is_the_same_with_and_without_the_roll_up(place, moment) -> None:
    table = orders(MOMENTS[moment])
    zone = ZoneInfo(table.timezone)
    with shop(place, *(text.replace("{moment}", moment) for text in CREATED)):
        place.run("GRANT USAGE ON SCHEMA tenancy TO prot_owner")
        writer = Writer(place, seed=len(moment))
        for _ in range(30):
            writer.write()
        tables = made(place, table)
        facts = place.facts(tables)
        compiled = CompiledTable(table, facts[table.name], facts["shop.orders_by_day"])
        assert compiled.rollup is not None
        for _ in range(3):
            for _ in range(15):
                writer.write()
            for tenant in ("one", "two"):
                for filters, values in ASKED:
                    zoned = "timestamptz" in moment
                    days = [value for (_, how), value in zip(filters, values, strict=True) if how != "equals"]
                    if zoned and not all(is_one_moment(day, zone) for day in days):
                        continue
                    for group in writer.random.sample(GROUPS, 4):
                        rolled, rows = (compiled.summary(filters, group, rolled=one) for one in (True, False))
                        assert "orders_by_day" in rolled.text
                        assert answer(place, rolled, values, tenant) == answer(place, rows, values, tenant), group
        # What the triggers kept is what is made anew, but for the number of parts.
        counted = "SELECT sum(rollup_rows), sum(rollup_total_amount)::text FROM shop.orders_by_day"
        before = place.rows(counted)
        made(place, table)
        assert place.rows(counted) == before


def test_a_roll_up_answers_what_an_independent_model_answers(place) -> None:
    table = orders()
    generator = random.Random(7)
    with shop(place, *(text.replace("{moment}", "timestamptz") for text in CREATED)):
        tables = made(place, table)
        facts = place.facts(tables)
        compiled = CompiledTable(table, facts[table.name], facts["shop.orders_by_day"])
        model: dict[str, list[Decimal]] = defaultdict(list)
        for _ in range(100):
            moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=generator.randrange(80_000))
            total = Decimal(generator.randrange(100_000)) / 100
            model[f"{moment:%Y-%m}"].append(total)
            text = f"INSERT INTO shop.orders (account, placed_at, total) VALUES ('one', '{moment}', {total})"
            place.run(text)
        parts = place.rows("SELECT count(*) FROM shop.orders_by_day")[0][0]
        groups = compiled.summary((), ("placed_at", "month")).read(
            answer(place, compiled.summary((), ("placed_at", "month")), (), "one")
        )[1:]
    assert {one["key"]: (one["count"], one["total_amount"], one["largest_amount"]) for one in groups} == {
        month: (len(totals), str(sum(totals)), str(max(totals))) for month, totals in model.items()
    }
    assert parts <= 100


def test_concurrent_writes_add_up(place, stack) -> None:
    """Each locks the days that it adds up anew; one that appends waits for nobody."""
    table = orders()
    failures: list[BaseException] = []
    with shop(place, *(text.replace("{moment}", "timestamptz") for text in CREATED)):
        tables = made(place, table)
        facts = place.facts(tables)
        compiled = CompiledTable(table, facts[table.name], facts["shop.orders_by_day"])

        def write(seed: int) -> None:
            generator = random.Random(seed)
            try:
                with psycopg.connect(place.admin.info.dsn, password=place.admin.info.password, autocommit=True) as own:
                    for number in range(30):
                        own.execute(
                            "INSERT INTO shop.orders (account, placed_at, status, total, pieces) VALUES ('one',"
                            " '2026-01-01'::timestamptz + %s * interval '7 hours', 'open', %s, %s)",
                            (generator.randrange(9), generator.randrange(999), number),
                        )
                        # One row by its key, so that no two of these statements lock rows in different orders.
                        own.execute(
                            "DELETE FROM shop.orders WHERE id = (SELECT id FROM shop.orders WHERE pieces = %s - 20"
                            " ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)"
                            if number % 3
                            else "UPDATE shop.orders SET total = total + 1 WHERE id = (SELECT id FROM shop.orders"
                            " WHERE pieces = %s - 9 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)",
                            (number,),
                        )
            except psycopg.Error as error:
                failures.append(error)

        threads = [threading.Thread(target=write, args=(seed,)) for seed in range(4)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert failures == []
        for group in GROUPS:
            rolled, rows = (compiled.summary((), group, rolled=one) for one in (True, False))
            assert answer(place, rolled, (), "one") == answer(place, rows, (), "one")


def test_a_statement_that_changes_many_days_takes_a_bounded_number_of_locks_and_others_wait_for_it(place) -> None:
    """PostgreSQL has room for a few thousand locks: one for each changed day would end in "out of shared memory"."""
    table = orders()
    row = "INSERT INTO shop.orders (account, placed_at, status, total, pieces) "
    held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    with shop(place, *(text.replace("{moment}", "timestamptz") for text in CREATED)), ExitStack() as open_things:
        tables = made(place, table)
        facts = place.facts(tables)
        compiled = CompiledTable(table, facts[table.name], facts["shop.orders_by_day"])
        bulk, other = (
            open_things.enter_context(psycopg.connect(place.admin.info.dsn, password=place.admin.info.password))
            for _ in range(2)
        )
        bulk.execute(
            row + "SELECT 'one', '2020-01-01'::timestamptz + day * interval '1 day', 'open', day, 1"
            " FROM generate_series(0, 2999) AS day"
        )
        bulk.commit()
        bulk.execute("UPDATE shop.orders SET total = total + 1")
        assert 900 < bulk.execute(held).fetchall()[0][0] <= 1024
        # A row that the other transaction does not lock, on one of its days.
        other.execute("SET lock_timeout = '200ms'")
        other.execute(row + "VALUES ('one', '2020-02-01', 'paid', 5, 1)")
        other.execute("SAVEPOINT before")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            other.execute("UPDATE shop.orders SET total = 7 WHERE status = 'paid'")
        other.execute("ROLLBACK TO before")
        bulk.commit()
        other.execute("UPDATE shop.orders SET total = 7 WHERE status = 'paid'")
        assert other.execute(held).fetchall()[0][0] == 1
        other.commit()
        for group in GROUPS:
            rolled, rows = (compiled.summary((), group, rolled=one) for one in (True, False))
            assert answer(place, rolled, (), "one") == answer(place, rows, (), "one")


def offenders(place, tables: dict[str, Table]) -> tuple[list[str], list[str]]:
    """Return what the doctor says of the triggers, and of the figures."""
    login = place.login
    with login.transaction(force_rollback=True):
        declared = read_declared(login, tables, LOGIN, "text")
        signer = signer_of(login, [KEY])
        triggers = [f"{one.object}: {one.problem}" for one in rollup_offenders(login, declared)]
        figures = [f"{one.object}: {one.problem}" for one in figure_offenders(login, declared, ["one"], signer)]
    return triggers, figures


def test_the_doctor_sees_a_roll_up_that_is_not_kept_and_one_that_is_wrong(place) -> None:
    insert = "INSERT INTO shop.orders (account, placed_at, total, status) VALUES ('one', '2026-01-0{}', 5, 'open')"
    with shop(place, *(text.replace("{moment}", "timestamptz") for text in CREATED)):
        tables = made(place, orders())
        place.run(insert.format(1), insert.format(2))
        assert offenders(place, tables) == ([], [])
        place.run("ALTER TABLE shop.orders DISABLE TRIGGER zz_rollup_insert", insert.format(3))
        (said,), (other,) = offenders(place, tables)
        assert "at INSERT" in said
        assert "the tenant one has other totals on 2026-01-03 than its rows have: 0 rows and not 1" in other
        place.protect(tables, "shop.orders_by_day")
        assert offenders(place, tables)[1] == []
        place.run(
            "ALTER TABLE shop.orders ENABLE TRIGGER zz_rollup_insert", "DROP TRIGGER zz_rollup_delete ON shop.orders"
        )
        assert "at DELETE" in offenders(place, tables)[0][0]
        place.protect(tables, "shop.orders_by_day")
        assert offenders(place, tables) == ([], [])
        place.run("UPDATE shop.orders_by_day SET rollup_total_amount = 6 WHERE rollup_day = '2026-01-03'")
        assert "the figures differ" in offenders(place, tables)[1][0]
        place.protect(tables, "shop.orders_by_day")
        body = place.rows("SELECT prosrc FROM pg_proc WHERE proname = 'keep_orders_by_day'")[0][0]
        changed = body.replace("RETURN NULL", "RETURN OLD").replace("'", "''")
        place.run(
            f"CREATE OR REPLACE FUNCTION shop.keep_orders_by_day() RETURNS trigger LANGUAGE plpgsql AS '{changed}'"
        )
        assert "at INSERT, UPDATE, DELETE, TRUNCATE" in offenders(place, tables)[0][0]


def test_writers_need_no_grant_on_the_roll_up_and_tenants_see_their_own_parts(place) -> None:
    with shop(place, *(text.replace("{moment}", "timestamptz") for text in CREATED)):
        tables = made(place, orders())
        place.run(
            "GRANT INSERT, SELECT, DELETE ON shop.orders TO prot_writer",
            "GRANT USAGE ON ALL SEQUENCES IN SCHEMA shop TO prot_writer",
        )
        place.protect(tables)
        place.run("ALTER POLICY as_before ON shop.orders TO prot_writer") if "as_before" in place.policies(
            "shop.orders"
        ) else place.run("CREATE POLICY as_before ON shop.orders TO prot_writer USING (true) WITH CHECK (true)")
        for tenant in ("one", "two"):
            insert = f"INSERT INTO shop.orders (account, placed_at) VALUES ('{tenant}', now())"
            with place.admin.transaction():
                place.run("SET LOCAL ROLE prot_writer", insert)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            place.rows("SELECT * FROM shop.orders_by_day", "prot_writer")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            place.login.execute("SELECT shop.keep_orders_by_day()")
        assert place.seen("SELECT account AS note FROM shop.orders_by_day", "one") == ["one"]
        assert place.login.execute("SELECT count(*) FROM shop.orders_by_day").fetchone() == (0,)


def test_a_question_that_a_roll_up_cannot_answer_goes_to_the_rows() -> None:
    rollup = rollup_of(orders())
    assert rollup is not None
    assert rollup.groups == ("status", "kind", "gift")
    assert rollup.answers((("placed_at", "from"), ("status", "equals")), ("placed_at", "week"))
    assert not rollup.answers((("weight", "at_least"),), None)
    assert not rollup.answers((), ("weight", None))
    havana = ZoneInfo("America/Havana")
    assert [is_one_moment(day, havana) for day in ("2026-11-01", "2026-11-02", "10000-01-01")] == [False, True, True]
    assert is_one_moment(date(2026, 11, 1).isoformat(), ZoneInfo("UTC"))


WRONG: dict[str, dict[str, Any]] = {
    "a tenant column of its own": {"tenant": None, "shared": True},
    "period = true": {"columns": {"amount": {"type": "decimal", "measures": ["total"]}}},
    "the same name": {
        "columns": {**COLUMNS, "rollup_day": {"type": "boolean", "group": True}},
    },
}


@pytest.mark.parametrize("said", WRONG)
def test_a_roll_up_that_cannot_be_is_a_mistake_of_the_declaration(said) -> None:
    file = CatalogFile(table=(orders(**WRONG[said]),))
    (problem,) = problems_of([("shop.toml", file)], {}, complete=True)
    assert problem.startswith("shop.toml: table shop.orders: summary.rollup: ")
    assert said in problem


def test_a_table_whose_partitions_can_be_written_has_no_roll_up(place) -> None:
    created = [text.replace("{moment}", "timestamptz NOT NULL") for text in CREATED]
    created[1] = created[1].replace("id bigserial PRIMARY KEY", "id bigint") + " PARTITION BY RANGE (placed_at)"
    with shop(place, *created):
        tables = with_rollups({"shop.orders": orders(key=["id"])})
        with pytest.raises(StartupError, match="partitions"):
            protection_sql(place.admin, tables["shop.orders_by_day"], tables, LOGIN)


SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.orders (id bigint PRIMARY KEY, account text NOT NULL, placed_at timestamptz NOT NULL,
  amount numeric(10, 2) NOT NULL);
INSERT INTO shop.orders SELECT n, 'acme', '2026-01-01', n FROM generate_series(1, 9) AS n;
"""


def test_adopting_again_leaves_a_roll_up_to_the_table_that_declares_it(stack, tmp_path) -> None:
    with place_for(stack.admin_url, "rolled_shop", tmp_path / "adopted", SHOP) as adopted:
        adopted.adopt("account")
        adopted.migrate()
        adopted.register(["acme"])
        (file,) = (tmp_path / "adopted" / "tools").glob("*.toml")
        text = file.read_text(encoding="utf-8")
        assert "period = true" in text
        file.write_text(text.replace("summary = {", 'summary = { rollup = "day",'), encoding="utf-8")
        tables = adopted.tables
        with psycopg.connect(adopted.url, autocommit=True, cursor_factory=psycopg.RawCursor) as admin:
            admin.execute("SET search_path = pg_catalog")
            admin.execute(protection_sql(admin, tables["shop.orders_by_day"], tables, adopted.login).encode())
        assert adopted.doctor() == []
        again = adopted.adopt("account", update=True)
        assert set(again.decisions.declared) == {"shop.orders"}
        adopted.migrate()
        assert adopted.doctor() == []
