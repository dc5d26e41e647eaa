"""The steps to an own tenant column run to the end, show the same rows, and stay right while the application writes."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from support.protected import Place, declared, protected_database, shop
from support.second_server import MISSING, PROGRAMS, second_server

from server.catalog.policies import problems
from server.dev.stack import Stack
from server.errors import StartupError

ROWS = "SELECT note FROM shop.items"
ORDERS = declared("shop.orders", tenant="account")
CHILD = declared("shop.items", tenant={"through": "order_id", "parent": "shop.orders"})
GRANDCHILD = declared("shop.parts", tenant={"through": "item_id", "parent": "shop.items"})
WRITERS = "GRANT ALL ON shop.items TO prot_writer"


@pytest.fixture(scope="module")
def newest(stack: Stack) -> Iterator[Place]:
    with protected_database(stack.admin_url) as place:
        yield place


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    if PROGRAMS is None:
        pytest.skip(MISSING)
    with second_server(tmp_path_factory.mktemp("second") / "postgres") as url, protected_database(url) as place:
        yield place


@pytest.fixture(scope="module", params=["newest", "oldest"])
def place(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def orders(kind: str = "text", one: str = "acme", two: str = "b-7") -> str:
    return (
        f"CREATE TABLE shop.orders (id int PRIMARY KEY, account {kind} NOT NULL, note text);"
        f"INSERT INTO shop.orders VALUES (1, '{one}', ''), (2, '{one}', ''), (3, '{two}', '')"
    )


def items(key: str = "NOT NULL REFERENCES shop.orders") -> str:
    return (
        f"CREATE TABLE shop.items (id int PRIMARY KEY, order_id int {key}, note text);"
        "INSERT INTO shop.items VALUES (1, 1, 'a1'), (2, 2, 'a2'), (3, 3, 'b1')"
    )


def by_name(*tables):
    return {table.name: table for table in tables}


def declared_anew(tables, name: str):
    """Return the declarations as they are after the steps."""
    return {**tables, name: tables[name].model_copy(update={"tenant": "account"})}


TENANTS = {
    "text": ("acme", "b-7"),
    'text COLLATE "C"': ("acme", "b-7"),
    "varchar(7)": ("acme", "b-7"),
    "shop.account": ("acme", "b-7"),
    "uuid": ("00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"),
    "bigint": ("7", "9000000000"),
}


@pytest.mark.parametrize("kind", TENANTS)
@pytest.mark.parametrize("protected", [False, True], ids=["from nothing", "from a child's policies"])
def test_every_tenant_sees_the_same_rows_by_the_own_column(place, kind, protected) -> None:
    one, two = TENANTS[kind]
    domain = "CREATE DOMAIN shop.account AS varchar(7) CHECK (VALUE <> '')"
    with shop(place, domain, orders(kind, one, two), items(), WRITERS):
        tables = by_name(ORDERS, CHILD)
        place.protect(tables, "shop.orders")
        if protected:
            place.protect(tables, "shop.items")
        place.run(*place.steps(tables, "shop.items"))
        assert place.seen(ROWS, one) == ["a1", "a2"]
        assert place.seen(ROWS, two) == ["b1"]
        assert place.login.execute("SELECT note FROM shop.items").fetchall() == []
        tables = declared_anew(tables, "shop.items")
        facts = place.facts(tables)
        assert problems(tables.values(), facts) == []
        assert facts["shop.items"].columns["account"].type == facts["shop.orders"].columns["account"].type
        assert facts["shop.items"].columns["account"].collation == facts["shop.orders"].columns["account"].collation
        assert facts["shop.items"].columns["account"].not_null
        assert place.policies("shop.items")["as_before"] == ["pg_read_all_data", "prot_writer"]


def test_each_step_can_be_run_again(place) -> None:
    with shop(place, orders(), items()):
        tables = by_name(ORDERS, CHILD)
        place.protect(tables)
        steps = place.steps(tables, "shop.items")
        for step in steps[:-4]:
            place.run(step, step)
        place.run(*steps)
        place.run(*place.steps(tables, "shop.items"))
        assert place.seen(ROWS, "acme") == ["a1", "a2"]


@pytest.fixture
def kept(place: Any) -> Iterator[Any]:
    """A child with its own column, whose writer has no grant on the parent."""
    with shop(place, orders(), items(), WRITERS):
        tables = by_name(ORDERS, CHILD)
        place.protect(tables)
        place.run(*place.steps(tables, "shop.items"))
        yield place


def test_new_and_moved_rows_have_the_tenant_of_their_parent_whatever_is_said(kept) -> None:
    kept.run(
        "SET ROLE prot_writer", "INSERT INTO shop.items VALUES (4, 3, 'b2', NULL), (5, 1, 'a3', 'b-7')", "RESET ROLE"
    )
    assert kept.seen(ROWS, "acme") == ["a1", "a2", "a3"]
    kept.run("UPDATE shop.items SET order_id = 3 WHERE note = 'a1'", "UPDATE shop.items SET account = 'b-7'")
    assert kept.seen(ROWS, "acme") == ["a2", "a3"]
    assert kept.seen(ROWS, "b-7") == ["a1", "b1", "b2"]


def test_rows_follow_a_parent_that_moves_to_another_tenant(kept) -> None:
    kept.run("UPDATE shop.orders SET account = 'b-7' WHERE id = 1")
    assert kept.seen(ROWS, "acme") == ["a2"]
    assert kept.seen(ROWS, "b-7") == ["a1", "b1"]


def test_a_row_without_a_parent_is_refused(kept) -> None:
    with pytest.raises(psycopg.errors.NotNullViolation):
        kept.run("INSERT INTO shop.items VALUES (9, 99, 'orphan')")


def test_nobody_may_call_the_function_that_reads_the_parent(kept) -> None:
    (name,) = kept.rows("SELECT proname FROM pg_proc WHERE pronamespace = 'shop'::regnamespace")[0]
    assert kept.rows(f"SELECT has_function_privilege('prot_login', 'shop.{name}()', 'EXECUTE')") == [(False,)]
    owner = f"SELECT prosecdef, pg_get_userbyid(proowner)::text FROM pg_proc WHERE proname = '{name}'"
    assert kept.rows(owner) == [(True, "prot_owner")]


@pytest.mark.parametrize(
    ("action", "left"), [("CASCADE", ["b1"]), ("SET NULL", ["a1", "a2", "b1"]), ("NO ACTION", None), ("RESTRICT", None)]
)
def test_deleting_a_parent_does_what_it_did(place, action, left) -> None:
    with shop(
        place, orders(), items(f"REFERENCES shop.orders ON DELETE {action}"), "CREATE INDEX ON shop.items (order_id)"
    ):
        tables = by_name(ORDERS, CHILD)
        place.protect(tables)
        place.run(*place.steps(tables, "shop.items"))
        # Which of the two keys acts first is not said, so both must do the same.
        actions = "SELECT confdeltype FROM pg_constraint WHERE contype = 'f' AND conrelid = 'shop.items'::regclass"
        first, second = place.rows(actions)
        assert first == second
        if left is None:
            with pytest.raises(psycopg.errors.IntegrityError):
                place.run("DELETE FROM shop.orders WHERE account = 'acme'")
        else:
            place.run("DELETE FROM shop.orders WHERE account = 'acme'")
            assert sorted(row[0] for row in place.rows("SELECT note FROM shop.items")) == left
            assert place.seen(ROWS, "acme") == []


def test_rows_that_have_no_parent_stay_possible_where_they_were(place) -> None:
    with shop(place, orders(), items("REFERENCES shop.orders"), "INSERT INTO shop.items VALUES (4, NULL, 'nobody')"):
        tables = by_name(ORDERS, CHILD)
        place.protect(tables)
        place.run(*place.steps(tables, "shop.items"), "INSERT INTO shop.items VALUES (5, NULL, 'nobody')")
        assert place.seen(ROWS, "acme") == ["a1", "a2"]
        assert place.rows("SELECT count(*) FROM shop.items WHERE account IS NULL") == [(2,)]


def test_rows_whose_parent_does_not_exist_stop_the_steps(place) -> None:
    with shop(place, orders(), items("NOT NULL"), "INSERT INTO shop.items VALUES (4, 99, 'orphan')"):
        tables = by_name(ORDERS, CHILD)
        place.protect(tables)
        with pytest.raises(psycopg.errors.CheckViolation):
            place.run(*place.steps(tables, "shop.items"))
        assert place.seen(ROWS, "acme") == ["a1", "a2"]
        place.run("DELETE FROM shop.items WHERE note = 'orphan'", *place.steps(tables, "shop.items"))
        assert place.seen(ROWS, "acme") == ["a1", "a2"]


def test_a_large_table_is_filled_in_batches(place) -> None:
    many = "INSERT INTO shop.items SELECT n, 1 + n % 3, repeat('x', 100) FROM generate_series(10, 50000) n"
    with shop(place, orders(), items(), many):
        tables = by_name(ORDERS, CHILD)
        place.protect(tables, "shop.orders")
        assert place.rows("SELECT pg_relation_size('shop.items') / 8192 > 500") == [(True,)]
        place.run(*place.steps(tables, "shop.items"))
        wrong = "SELECT count(*) FROM shop.items JOIN shop.orders o ON o.id = order_id WHERE o.account <> items.account"
        assert place.rows(wrong) == [(0,)]
        assert len(place.seen(ROWS, "b-7")) + len(place.seen(ROWS, "acme")) == 3 + 49_991


def test_a_grandchild_follows_once_its_parent_has_its_own_column(place) -> None:
    parts = "CREATE TABLE shop.parts (id int PRIMARY KEY, item_id int NOT NULL REFERENCES shop.items, note text)"
    with shop(place, orders(), items(), parts, "INSERT INTO shop.parts VALUES (1, 1, 'a'), (2, 3, 'b')"):
        tables = by_name(ORDERS, CHILD, GRANDCHILD)
        place.protect(tables)
        with pytest.raises(StartupError, match=r"first run `tenantgate tools sql shop\.items --own-column`"):
            place.steps(tables, "shop.parts")
        place.run(*place.steps(tables, "shop.items"))
        tables = declared_anew(tables, "shop.items")
        place.run(*place.steps(tables, "shop.parts"))
        assert place.seen("SELECT note FROM shop.parts", "acme") == ["a"]
        # One move of the parent reaches the grandchild through both keys.
        place.run("UPDATE shop.orders SET account = 'b-7' WHERE id = 1")
        assert place.seen("SELECT note FROM shop.parts", "b-7") == ["a", "b"]


REFUSED = {
    "is not the child of another table": ((orders(),), "shop.orders"),
    "has partitions or inheritance children": ((orders(), items(), "CREATE TABLE shop.x () INHERITS (shop.items)"), ""),
    "has a column account of type integer already": ((orders(), items(), "ALTER TABLE shop.items ADD account int"), ""),
    "ON DELETE SET DEFAULT": ((orders(), items("REFERENCES shop.orders ON DELETE SET DEFAULT")), ""),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_a_table_that_the_steps_do_not_support_is_refused_with_its_remedy(newest, sentence) -> None:
    texts, name = REFUSED[sentence]
    tables = by_name(ORDERS, CHILD) if len(texts) > 1 else by_name(ORDERS)
    with shop(newest, *texts), pytest.raises(StartupError, match=sentence) as refused:
        newest.steps(tables, name or "shop.items")
    assert "; " in str(refused.value)


def test_a_deferrable_key_is_pointed_out(newest) -> None:
    with shop(newest, orders(), items("REFERENCES shop.orders DEFERRABLE")):
        assert "DECIDE: the key that is there is DEFERRABLE" in "".join(
            newest.steps(by_name(ORDERS, CHILD), "shop.items")
        ).replace("\n-- ", " ")
