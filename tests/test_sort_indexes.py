"""Each declared sort has an index that PostgreSQL really uses, in both directions, or it is said that none can."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from support.protected import KEY, Place, declared, protected_database, shop
from support.second_server import MISSING, PROGRAMS, second_server

from server.catalog.comparison import differences
from server.catalog.compile import CompiledTable
from server.catalog.ordering import slow_orders, unserved_orders
from server.database.statement import read_rows
from server.dev.stack import Stack
from server.doctor.orders import order_notices

COLUMNS = {
    "plain": ("text", {"type": "text", "max_length": 40}),
    "short": ("varchar(20)", {"type": "text"}),
    "local": ("varchar(20) COLLATE {local}", {"type": "text"}),
    "cut_local": ("text COLLATE {local}", {"type": "text", "max_length": 10}),
    "limited": ("varchar(20) NOT NULL", {"type": "text", "max_length": 40}),
    "cut_varchar": ("varchar", {"type": "text", "max_length": 10}),
    "kind": ("shop.kind", {"type": "text"}),
    "amount": ("numeric(10, 2) NOT NULL", {"type": "decimal"}),
    "placed_at": ("timestamptz", {"type": "timestamp"}),
    "flag": ("boolean", {"type": "boolean"}),
}
KEYS = {
    "own": ("account text NOT NULL, id int PRIMARY KEY", "account", []),
    "whole": ("account uuid NOT NULL, id int NOT NULL, PRIMARY KEY (account, id)", "account", ["account", "id"]),
    "text": ("account int NOT NULL, id text COLLATE {local} PRIMARY KEY", "account", []),
    "shared": ("id int PRIMARY KEY", None, []),
}
FORCED = "SET enable_sort = off; SET enable_seqscan = off; SET enable_bitmapscan = off"


LOCAL = "SELECT quote_ident(collname) FROM pg_collation WHERE collname = 'und-x-icu' AND collisdeterministic"


@pytest.fixture(scope="module")
def newest(stack: Stack) -> Iterator[Place]:
    with protected_database(stack.admin_url) as found:
        yield found


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if PROGRAMS is None:
        pytest.skip(MISSING)
    with second_server(tmp_path_factory.mktemp("second") / "postgres") as url, protected_database(url) as found:
        yield found


@pytest.fixture(scope="module", params=["newest", "oldest"])
def place(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def table_of(kind: str, name: str = "shop.orders", sort: str | None = "-placed_at"):
    columns = {column: {**said, "sort": True} for column, (_, said) in COLUMNS.items()}
    tenant, key = KEYS[kind][1:]
    whose = {"tenant": tenant} if tenant else {"shared": True}
    return declared(name, **whose, key=key, list={"tool": "orders", "sort": sort}, columns=columns)


def local_collation(place) -> str:
    """Return one that orders texts otherwise than by their code points, where this PostgreSQL has one."""
    for (name,) in place.rows(LOCAL):
        try:
            place.rows(f"SELECT 'a' < 'b' COLLATE {name}")
        except psycopg.Error:
            continue
        return name
    return '"C"'


def created(place, kind: str, end: str = "") -> tuple[str, ...]:
    local = local_collation(place)
    columns = ", ".join(f"{name} {text}" for name, (text, _) in COLUMNS.items())
    return (
        "CREATE TYPE shop.kind AS ENUM ('large', 'small')",
        f"CREATE TABLE shop.orders ({KEYS[kind][0]}, {columns}){end}".replace("{local}", local),
    )


def plan(place, statement) -> str:
    """Return how the login runs a statement, whatever its values are."""
    with place.login.transaction(force_rollback=True):
        place.login.execute(FORCED)
        place.login.execute(b"SET plan_cache_mode = force_generic_plan")
        place.login.execute(f"PREPARE one AS {statement.text}".encode())
        values = ", ".join(["NULL"] * len(set(re.findall(r"\$\d+", statement.text))))
        rows = place.login.execute(f"EXPLAIN (COSTS OFF) EXECUTE one ({values})".encode()).fetchall()
        place.login.execute(b"DEALLOCATE one")
    return "\n".join(line for (line,) in rows)


@pytest.mark.parametrize("kind", KEYS)
def test_the_index_that_is_proposed_has_the_rows_in_order_in_both_directions(place, kind) -> None:
    table = table_of(kind)
    tables = {table.name: table}
    with shop(place, *created(place, kind)):
        assert set(unserved_orders(table, place.facts(tables)[table.name])) == set(COLUMNS)
        place.protect(tables)
        facts = place.facts(tables)[table.name]
        assert unserved_orders(table, facts) == []
        compiled = CompiledTable(table, facts)
        for sort in COLUMNS:
            for descending in (False, True):
                said = plan(place, compiled.listing((), sort, descending=descending, start="beginning"))
                assert "->  Sort" not in said, f"{sort}, {descending}: {said}"
                assert "Incremental Sort" not in said, f"{sort}, {descending}: {said}"
                assert f"_{sort}" in said or sort == "placed_at", said
        assert "CREATE INDEX" not in place.sql(tables, table.name)
        # Numbers are compared after the policy, one by one: but in the index alone.
        deep = plan(place, compiled.listing((), "amount", descending=True, start="value"))
        assert "Index Only Scan" in deep, deep
        deep = plan(place, compiled.listing((), "limited", descending=False, start="value"))
        assert re.search(r"Index Cond: .*ROW\(", deep), deep
        # A text that is not cut is found in the index; one that is cut is compared after the policy.
        for sort in ("plain", "cut_local", "cut_varchar"):
            deep = plan(place, compiled.listing((), sort, descending=False, start="value"))
            assert "->  Sort" not in deep, deep
            short, longer = re.findall(r"Index Scan.*? using \S+_(?:short|longer)_sorted.*(?:\n.*){2}", deep)[:2]
            assert re.search(r"Index Cond: .*ROW\(", short), deep
            assert re.search(r"Filter: .*ROW\(", longer), deep


TEXTS = (
    None,
    "",
    "a",
    "ab",
    "é",
    "ab" * 5,
    "ab" * 5 + "c",
    "ab" * 5 + "cd",
    "ab" * 5 + "c",
    "é" * 10,
    "é" * 11,
    "z" * 30,
)


@pytest.mark.parametrize("sort", ["cut_local", "cut_varchar", "plain"])
def test_pages_from_two_indexes_are_those_from_one_sort(place, sort) -> None:
    """Short texts, longer ones, ties among what is shown, NULL: from every position, both ways."""
    table = table_of("own")
    tables = {table.name: table}
    rows = ", ".join(
        f"('{account}', {number}, {text}, 1, 'x')"
        for account in ("a", "b")
        for number, text in enumerate(
            ("NULL" if one is None else f"'{one}'" for one in TEXTS * 2), 1 if account == "a" else 101
        )
    )
    filled = f"INSERT INTO shop.orders (account, id, {sort}, amount, limited) VALUES {rows}"
    with shop(place, *created(place, "own"), filled):
        place.protect(tables)
        facts = place.facts(tables)[table.name]
        from_two, from_one = CompiledTable(table, facts), CompiledTable(table, replace(facts, partial_orders=()))
        assert "char_length" in from_two.listing((), sort, descending=False, start="value").text
        assert "char_length" not in from_one.listing((), sort, descending=False, start="value").text
        for descending in (False, True):
            walked = [list(walk(place, one, sort, descending=descending)) for one in (from_two, from_one)]
            assert walked[0] == walked[1]
            assert sum(len(rows) for rows, _ in walked[0]) == 2 * len(TEXTS)


CENTS = "ALTER TABLE shop.orders ADD cents bigint GENERATED ALWAYS AS ((total * 100)::bigint) STORED"
TOTALS = (None, "-0.01", "0", "0.00", "10.5", "9.99", "100", "10.50", "99999999.99")


def sorted_totals(**said: Any):
    columns = {"total": {"type": "decimal", "sort": True, "measures": ["total"], **said}, "limited": {"type": "text"}}
    tools = {"list": {"tool": "orders", "sort": "total"}, "summary": {"tool": "total"}}
    return declared("shop.orders", tenant="account", columns=columns, **tools)


def test_pages_sorted_by_another_column_begin_where_the_index_says_and_are_those_of_the_amount_itself(place) -> None:
    """A numeric is compared after the policy, row by row; a bigint with the same order is found in the index."""
    table, itself = sorted_totals(sort_by="cents"), sorted_totals()
    totals = [one or "NULL" for one in TOTALS * 2]
    rows = ", ".join(
        f"('{account}', {i + n}, {one}, 1, 'x')"
        for account, i in (("a", 0), ("b", 100))
        for n, one in enumerate(totals)
    )
    filled = f"INSERT INTO shop.orders (account, id, total, amount, limited) VALUES {rows}"
    with shop(place, *created(place, "own"), "ALTER TABLE shop.orders ADD total numeric(10, 2)", CENTS, filled):
        place.protect({table.name: table})
        facts = place.facts({table.name: table})[table.name]
        assert unserved_orders(table, facts) == []
        by_cents = CompiledTable(table, facts)
        deep = plan(place, by_cents.listing((), "total", descending=True, start="value"))
        assert re.search(r"Index Cond: .*ROW\(cents, id\)", deep), deep
        assert list(order_notices([table], {table.name: facts})) == []
        place.run("VACUUM shop.orders")
        summary = plan(place, by_cents.summary((), None))
        assert "Index Only Scan" in summary, summary
        for descending in (False, True):
            found = [
                [row for page, _ in walk(place, one, "total", descending=descending) for row in page]
                for one in (by_cents, CompiledTable(itself, facts))
            ]
            assert found[0] == found[1]
            assert len(found[0]) == len(totals)
            assert found[0][0].keys() == {"total", "limited"}


def test_a_column_that_gives_the_order_of_another_one_is_checked(place) -> None:
    """A text beside the keys could be too long for the index, and nothing keeps the order of a plain column."""
    columns = {
        "limited": {"type": "text", "sort": True, "sort_by": "cents"},
        "flag": {"type": "boolean", "sort": True, "sort_by": "place"},
    }
    table = declared("shop.orders", tenant="account", list={"tool": "orders", "sort": "limited"}, columns=columns)
    more = "ALTER TABLE shop.orders ADD total numeric(10, 2), ADD place int"
    with shop(place, *created(place, "own"), more, CENTS):
        said = place.sql({table.name: table}, table.name)
        assert '("account", "cents", "id")' in said
        assert "INCLUDE" not in said
        place.protect({table.name: table})
        facts = place.facts({table.name: table})[table.name]
        (said,) = order_notices([table], {table.name: facts})
        assert said.startswith(
            "shop.orders: place, by which flag is sorted, is not a generated column, so it may have "
        )
        if place.login.info.server_version >= 180_000:
            place.run(CENTS.replace("cents", "virtual").removesuffix(" STORED"))
            virtual = sorted_totals(sort_by="virtual")
            (said,) = differences(virtual, place.facts({table.name: virtual})[table.name])
            assert said.startswith(
                "columns.total.sort_by: virtual is a virtual generated column, which cannot have an "
            )


def test_rows_are_not_looked_up_by_a_key_that_is_not_leakproof(place) -> None:
    """Such a key is compared after the policy, so that each page would read all rows of its tenant."""
    columns = {
        "placed_at": {"type": "timestamp", "sort": True},
        "amount": {"type": "decimal", "sort": True},
        "limited": {"type": "text"},
    }
    table = declared("shop.orders", tenant="account", list={"tool": "orders", "sort": "placed_at"}, columns=columns)
    with shop(place, *created(place, "own"), "ALTER TABLE shop.orders ALTER id TYPE numeric(10)"):
        place.protect({table.name: table})
        compiled = CompiledTable(table, place.facts({table.name: table})[table.name])
        for sort in ("placed_at", "amount"):
            page = plan(place, compiled.listing((), sort, descending=True, start="value"))
            assert page.count(" on orders t") == 1, page
            assert "->  Sort" not in page, page


def test_the_sample_has_an_index_for_each_of_its_orders_and_no_other(stack: Stack) -> None:
    with psycopg.connect(stack.admin_url) as admin:
        text = "SELECT indexname FROM pg_indexes WHERE schemaname = 'app' AND tablename = 'claims'"
        found = {name for (name,) in admin.execute(text)}
    keys = {"claims_pkey", "claims_tenant_id_claim_number_key"}
    assert found - keys == {
        "claims_by_filing",
        "claims_claim_amount_cents_sorted",
        "claims_customer_name_200_longer_sorted",
        "claims_customer_name_200_short_sorted",
    }


def test_an_index_that_serves_first_pages_alone_is_replaced_by_two_that_serve_all(place) -> None:
    columns = {"plain": {"type": "text", "max_length": 40, "sort": True}}
    table = declared("shop.orders", tenant="account", list={"tool": "orders", "sort": "plain"}, columns=columns)
    tables = {table.name: table}
    with shop(place, *created(place, "own"), "CREATE INDEX ON shop.orders (account, left(plain, 40), id)"):
        before = place.facts(tables)[table.name]
        assert (unserved_orders(table, before), slow_orders(table, before)) == ([], ["plain"])
        place.protect(tables)
        after = place.facts(tables)[table.name]
        assert (unserved_orders(table, after), slow_orders(table, after)) == ([], [])
        place.run("DROP INDEX shop.orders_plain_40_short_sorted")
        half = place.facts(tables)[table.name]
        assert (unserved_orders(table, half), slow_orders(table, half)) == ([], ["plain"])


def walk(place, compiled: CompiledTable, sort: str, *, descending: bool):
    """Yield each page of two rows with the position behind it."""
    start, values = "beginning", ()
    while start:
        statement = compiled.listing((), sort, descending=descending, start=start)
        context = KEY.sign(person=("x", "y"), tenant="a", tier="", expiry_s=4_000_000_000, digest=statement.digest)
        row = place.login.execute(statement.sent, (*values, 3, context)).fetchall()[0]
        found, position = read_rows(row[1].encode()), row[2:]
        yield found[:2], position
        start = "" if len(found) < 3 else "null" if position[0] is None else "value"
        values = tuple(one for one in position if one is not None)


def test_an_index_in_another_order_is_not_taken_for_one_that_serves(place) -> None:
    table = declared(
        "shop.orders",
        tenant="account",
        list={"tool": "orders", "sort": "amount"},
        columns={"amount": {"type": "decimal", "sort": True}},
    )
    tables = {table.name: table}
    wrong = (
        "(account, amount)",
        "(account, amount DESC, id)",
        "(account, amount NULLS FIRST, id NULLS FIRST)",
        "(amount, account, id)",
        "(account, id, amount)",
        "(account, (amount + 1), id)",
        "(account, amount, id) WHERE amount > 0",
    )
    right = ("(account, amount, id)", "(account DESC, amount DESC, id DESC)", "(account, amount, id, plain)")
    with shop(place, *created(place, "own")):
        for text in (*wrong, *right):
            place.run(f"CREATE INDEX one ON shop.orders {text}")
            assert unserved_orders(table, place.facts(tables)[table.name]) == (["amount"] if text in wrong else [])
            place.run("DROP INDEX shop.one")
        # No two rows of a tenant tie, so that nothing is left to be sorted.
        place.run("CREATE UNIQUE INDEX one ON shop.orders (account, amount)")
        assert unserved_orders(table, place.facts(tables)[table.name]) == []


def test_a_partitioned_table_gets_its_indexes_and_a_child_hears_what_is_possible(place) -> None:
    orders = table_of("whole")
    items = declared(
        "shop.items",
        tenant={"through": "order_id", "parent": "shop.parents"},
        list={"tool": "items", "sort": "note"},
        columns={"note": {"type": "text", "sort": True}},
    )
    parents = declared("shop.parents", tenant="account", columns={"account": {"type": "text"}})
    tables = {one.name: one for one in (orders, parents, items)}
    texts = (
        *created(place, "whole", " PARTITION BY HASH (account)"),
        "CREATE TABLE shop.part PARTITION OF shop.orders FOR VALUES WITH (MODULUS 1, REMAINDER 0)",
        "CREATE TABLE shop.parents (id int PRIMARY KEY, account text NOT NULL)",
        "CREATE TABLE shop.items (id int PRIMARY KEY, order_id int REFERENCES shop.parents, note text)",
    )
    with shop(place, *texts):
        place.protect(tables)
        facts = place.facts(tables)
        assert unserved_orders(orders, facts[orders.name]) == unserved_orders(items, facts[items.name]) == []
        assert "--own-column" in place.sql(tables, "shop.items")


@pytest.mark.parametrize(
    ("length", "names"), [({}, ["plain"]), ({"max_length": 651}, ["plain_651_short", "plain_651_longer"])]
)
def test_a_text_without_end_is_indexed_only_when_a_person_says_so(place, length, names) -> None:
    """A value of more than a third of a page cannot be in an index: its INSERT would fail."""
    columns = {"plain": {"type": "text", "sort": True, **length}}
    table = declared("shop.orders", tenant="account", list={"tool": "orders", "sort": "plain"}, columns=columns)
    tables = {table.name: table}
    with shop(place, *created(place, "own"), "CREATE INDEX ON shop.orders (account)"):
        said = place.sql(tables, table.name)
        assert "DECIDE" in said
        assert "\nCREATE INDEX" not in said
        for name in names:
            assert f'--   CREATE INDEX IF NOT EXISTS "orders_{name}_sorted"' in said


TRIGRAMS = "CREATE INDEX ON shop.orders USING gin (lower(plain) gin_trgm_ops)"
PARTS = "SELECT id FROM shop.orders WHERE lower(plain) LIKE '%abc%'"


def test_a_trigram_index_serves_everybody_but_those_whom_policies_bind(place) -> None:
    """LIKE is not leakproof, so that under row level security its index is never read before the policy."""
    table = declared("shop.orders", tenant="account", columns={"plain": {"type": "text"}})
    try:
        place.run("CREATE EXTENSION pg_trgm SCHEMA public")
    except psycopg.Error as error:
        pytest.skip(f"this PostgreSQL has no pg_trgm: {error}")
    with shop(place, "SET LOCAL search_path = shop, public", *created(place, "own"), TRIGRAMS):
        place.run("SET enable_seqscan = off")
        owner = "\n".join(line for (line,) in place.rows(f"EXPLAIN {PARTS}"))
        place.protect({table.name: table})
        with place.login.transaction(force_rollback=True):
            place.login.execute("SET enable_seqscan = off")
            login = "\n".join(line for (line,) in place.login.execute(f"EXPLAIN {PARTS}".encode()).fetchall())
        place.run("RESET enable_seqscan")
    place.run("DROP EXTENSION pg_trgm CASCADE")
    assert "Index Cond: (lower(plain) ~~" in owner, owner
    assert "Index Cond: (account =" in login, login
    assert "Filter: (lower(plain) ~~" in login, login
