"""The SQL that `tenantgate tools sql` prints isolates every kind of table, and others use it as before."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg
import pytest
from support.protected import LOGIN, Place, declared, protected_database, shop
from support.second_server import MISSING, PROGRAMS, second_server

from server.catalog.policies import collapsed, expected_text, problems
from server.catalog.protection import losers
from server.dev.stack import Stack
from server.errors import StartupError


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


U1, U2 = "00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"
GRANTS = (
    "GRANT SELECT ON ALL TABLES IN SCHEMA shop TO prot_reader; GRANT ALL ON ALL TABLES IN SCHEMA shop TO prot_writer"
)


def orders(kind: str, one: str, two: str) -> str:
    """Return a table of orders with a tenant column of a type: two rows of one tenant and one of another."""
    return (
        f"CREATE TABLE shop.orders (id int PRIMARY KEY, account {kind}, note text, secret text);"
        f"INSERT INTO shop.orders VALUES (1, '{one}', 'a1', 's'), (2, '{one}', 'a2', 's'), (3, '{two}', 'b1', 's'),"
        " (4, NULL, 'nobody', 's')"
    )


ITEMS = (
    "CREATE TABLE shop.items (id int PRIMARY KEY, order_id int REFERENCES shop.orders, note text, secret text);"
    "INSERT INTO shop.items VALUES (1, 1, 'a1', 's'), (2, 2, 'a2', 's'), (3, 3, 'b1', 's'), (4, NULL, 'nobody', 's')"
)
PARTS = (
    "CREATE TABLE shop.parts (id int PRIMARY KEY, item_id int REFERENCES shop.items, note text, secret text);"
    "INSERT INTO shop.parts VALUES (1, 1, 'a1', 's'), (2, 2, 'a2', 's'), (3, 3, 'b1', 's')"
)
ORDERS = declared("shop.orders", tenant="account")
CHILD = declared("shop.items", tenant={"through": "order_id", "parent": "shop.orders"})
GRANDCHILD = declared("shop.parts", tenant={"through": "item_id", "parent": "shop.items"})
VIEW = "CREATE VIEW shop.{} AS SELECT o.account, o.id, o.note FROM shop.orders o WHERE o.secret = 's'"
SEEN = declared("shop.seen", tenant="account", key=["id"])


@dataclass(frozen=True)
class Kind:
    """A kind of relation: how it comes to be, how it is declared, and what two tenants see of it."""

    texts: tuple[str, ...]
    tables: tuple[Any, ...]
    rows: LiteralString = "SELECT note FROM shop.orders"
    tenants: tuple[str, str] = ("acme", "b-7")
    secret: str = "SELECT secret FROM shop.orders"
    one: tuple[str, ...] = ("a1", "a2")
    two: tuple[str, ...] = ("b1",)
    nobody: tuple[str, ...] = ()


TEXT = orders("text", "acme", "b-7")
KINDS = {
    "text": Kind((TEXT,), (ORDERS,)),
    "varchar": Kind((orders("varchar(4)", "acme", "b-7"),), (ORDERS,)),
    "uuid": Kind((orders("uuid", U1, U2),), (ORDERS,), tenants=(U1, U2)),
    "smallint": Kind((orders("smallint", "7", "8"),), (ORDERS,), tenants=("7", "8")),
    "bigint": Kind((orders("bigint", "7", "9000000000"),), (ORDERS,), tenants=("7", "9000000000")),
    "domain": Kind(
        ("CREATE DOMAIN shop.account AS varchar(9) CHECK (VALUE <> '')", orders("shop.account", "acme", "b-7")),
        (ORDERS,),
    ),
    "child": Kind(
        (TEXT, ITEMS), (ORDERS, CHILD), "SELECT note FROM shop.items", secret="SELECT secret FROM shop.items"
    ),
    "child of uuid tenants": Kind(
        (orders("uuid", U1, U2), ITEMS),
        (ORDERS, CHILD),
        "SELECT i.note FROM shop.items i JOIN shop.orders o ON o.id = i.order_id",
        tenants=(U1, U2),
    ),
    "grandchild": Kind(
        (TEXT, ITEMS, PARTS),
        (ORDERS, CHILD, GRANDCHILD),
        "SELECT note FROM shop.parts",
        secret="SELECT secret FROM shop.parts",
    ),
    "shared": Kind(
        (
            "CREATE TABLE shop.orders (id int PRIMARY KEY, note text, secret text)",
            "INSERT INTO shop.orders VALUES (1, 'x')",
        ),
        (declared("shop.orders", shared=True),),
        one=("x",),
        two=("x",),
        nobody=("x",),
    ),
    "partitioned": Kind(
        (
            "CREATE TABLE shop.orders (id int, account text, note text, secret text) PARTITION BY LIST (account)",
            "CREATE TABLE shop.orders_a PARTITION OF shop.orders FOR VALUES IN ('acme')",
            "CREATE TABLE shop.orders_b PARTITION OF shop.orders DEFAULT PARTITION BY RANGE (id)",
            "CREATE TABLE shop.orders_b1 PARTITION OF shop.orders_b DEFAULT",
            f"GRANT SELECT ON shop.orders_b1 TO {LOGIN}; GRANT SELECT ON shop.orders_a TO PUBLIC",
            "INSERT INTO shop.orders VALUES (1, 'acme', 'a1'), (2, 'acme', 'a2'), (3, 'b-7', 'b1'), (4, NULL, '')",
        ),
        (ORDERS,),
    ),
    "inherited": Kind(
        (
            TEXT,
            "CREATE TABLE shop.old_orders () INHERITS (shop.orders)",
            f"GRANT SELECT ON shop.old_orders TO {LOGIN}",
            "INSERT INTO shop.old_orders VALUES (9, 'acme', 'a9'), (10, 'b-7', 'b9')",
        ),
        (ORDERS,),
        one=("a1", "a2", "a9"),
        two=("b1", "b9"),
    ),
    "view of an owner that is bound": Kind(
        (
            TEXT,
            VIEW.format("seen"),
            "RESET ROLE; GRANT CREATE ON SCHEMA shop TO prot_views; ALTER VIEW shop.seen OWNER TO prot_views",
        ),
        (ORDERS, SEEN),
        "SELECT note FROM shop.seen",
    ),
    "view of a child, of an owner that is bound": Kind(
        (
            TEXT,
            ITEMS,
            "CREATE VIEW shop.seen AS SELECT i.order_id, i.id, i.note FROM shop.items i WHERE i.secret = 's'",
            "RESET ROLE; GRANT CREATE ON SCHEMA shop TO prot_views; ALTER VIEW shop.seen OWNER TO prot_views",
        ),
        (
            ORDERS,
            CHILD,
            declared("shop.seen", tenant={"through": "order_id", "parent": "shop.orders"}, key=["id"]),
        ),
        "SELECT note FROM shop.seen",
        secret="SELECT secret FROM shop.items",
    ),
    "quoted names": Kind(
        (
            'CREATE TABLE shop."Or""d\'ers; --\n" (id int PRIMARY KEY, "Account\nId" text, note text, secret text)',
            "INSERT INTO shop.\"Or\"\"d'ers; --\n\" VALUES (1, 'acme', 'a1'), (2, 'acme', 'a2'), (3, 'b-7', 'b1')",
        ),
        (declared("shop.Or\"d'ers; --\n", tenant="Account\nId"),),
        'SELECT note FROM shop."Or""d\'ers; --\n"',
        secret='SELECT secret FROM shop."Or""d\'ers; --\n"',
    ),
}


def by_name(*tables):
    return {table.name: table for table in tables}


@pytest.fixture(params=KINDS)
def kind(place: Any, request: pytest.FixtureRequest) -> Iterator[Kind]:
    """A kind of table as an application uses it, not protected yet."""
    found = KINDS[request.param]
    with shop(place, *found.texts, GRANTS):
        yield found


def denied(connection, text: str) -> bool:
    try:
        connection.execute(text.encode())
    except psycopg.errors.InsufficientPrivilege:
        return True
    return False


def test_each_tenant_sees_its_rows_and_nobody_without_a_context_sees_any(place, kind) -> None:
    tables = by_name(*kind.tables)
    place.protect(tables)
    one, two = kind.tenants
    assert place.seen(kind.rows, one) == list(kind.one)
    assert place.seen(kind.rows, two) == list(kind.two)
    unknown = {U1: U1.replace("a", "f"), "7": "70000"}.get(one, "acm")
    assert place.seen(kind.rows, unknown) == list(kind.nobody)
    assert place.login.execute(kind.rows).fetchall() == []


def test_columns_that_are_not_declared_are_refused(place, kind) -> None:
    place.protect(by_name(*kind.tables))
    assert denied(place.login, kind.secret)
    assert denied(place.login, re.sub(r"secret|note", "*", kind.secret))
    assert not denied(place.login, kind.rows)


def test_others_see_and_write_what_they_did_before(place, kind) -> None:
    tables = by_name(*kind.tables)
    plain = [one.name for one in tables.values() if place.facts(tables)[one.name].kind != "v"]
    quoted = {name: ".".join(f'"{part}"' for part in name.replace('"', '""').split(".")) for name in plain}
    texts = [f"SELECT * FROM {name} ORDER BY 1" for name in quoted.values()]
    before = {role: [place.rows(text, role) for text in texts] for role in ("prot_reader", "prot_writer", "prot_owner")}
    place.protect(tables)
    assert before == {role: [place.rows(text, role) for text in texts] for role in before}
    for name in quoted.values():
        assert place.works(f"INSERT INTO {name} (id, note) VALUES (77, 'new') RETURNING id", "prot_writer") == 1
        assert place.works(f"UPDATE {name} SET note = 'other'", "prot_writer") > 0
    for table in plain:
        assert losers(place.admin, table, LOGIN) == []


def test_the_printed_sql_can_be_run_again_and_repairs(place, kind) -> None:
    tables = by_name(*kind.tables)
    printed = []
    for name in tables:
        printed.append(place.sql(tables, name))
        place.run(printed[-1])
    names = [one.name for one in tables.values() if place.facts(tables)[one.name].kind != "v"]
    for name in names:
        relation = ".".join(f'"{part}"' for part in name.replace('"', '""').split("."))
        place.run(f"DROP POLICY tenant_floor ON {relation}; GRANT SELECT ON {relation} TO {LOGIN}, PUBLIC")
        place.run(f"CREATE POLICY tenant_floor ON {relation} TO {LOGIN} USING (true)")
    place.run(*printed)
    assert place.seen(kind.rows, kind.tenants[0]) == list(kind.one)
    assert denied(place.login, kind.secret)
    place.protect(tables)
    assert place.seen(kind.rows, kind.tenants[1]) == list(kind.two)
    assert denied(place.login, kind.secret)


def test_afterwards_the_policies_are_the_expected_ones_and_nothing_is_missing(place, kind) -> None:
    tables = by_name(*kind.tables)
    place.protect(tables)
    facts = place.facts(tables)
    assert problems(tables.values(), facts) == []
    text = (
        "SELECT polpermissive, polcmd::text, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)"
        " FROM pg_policy WHERE polrelid = $1::regclass AND polname IN ('tenant_floor', 'tenant_reads') ORDER BY polname"
    )
    for name, table in tables.items():
        if facts[name].kind != "v":
            floor, reads = place.admin.execute(text, (facts[name].quoted,)).fetchall()
            expected = expected_text(table, facts)
            assert (*floor[:2], *map(collapsed, floor[2:])) == (False, "*", expected, expected)
            assert (*reads[:2], collapsed(reads[2]), reads[3]) == (True, "r", expected, None)
            assert facts[name].row_security


def test_no_partition_can_be_read_by_itself_nor_a_new_one(place) -> None:
    kind = KINDS["partitioned"]
    with shop(place, *kind.texts, f"ALTER DEFAULT PRIVILEGES IN SCHEMA shop GRANT SELECT ON TABLES TO {LOGIN}, PUBLIC"):
        printed = place.sql(by_name(ORDERS), "shop.orders")
        place.run(printed)
        for part in ("orders_a", "orders_b", "orders_b1"):
            assert denied(place.login, f"SELECT note FROM shop.{part}")
        assert place.rows("SELECT count(*) FROM shop.orders_a", "prot_idle") == [(2,)]
        statement = re.findall(r"-- +(ALTER DEFAULT PRIVILEGES .* FROM PUBLIC);", printed)
        place.run(*statement, "SET ROLE prot_owner; CREATE TABLE shop.orders_c (LIKE shop.orders); RESET ROLE")
        assert denied(place.login, "SELECT note FROM shop.orders_c")


def test_a_declared_partition_keeps_its_own_grants(place) -> None:
    kind, part = KINDS["partitioned"], declared("shop.orders_a", tenant="account")
    with shop(place, *kind.texts):
        place.protect(by_name(part, ORDERS))
        assert place.seen("SELECT note FROM shop.orders_a", "acme") == ["a1", "a2"]
        assert place.seen("SELECT note FROM shop.orders", "acme") == ["a1", "a2"]


def test_only_those_who_could_use_the_table_are_in_as_before(place) -> None:
    grants = "GRANT SELECT (note) ON shop.orders TO prot_reader; GRANT INSERT ON shop.orders TO prot_writer;"
    grants += "GRANT DELETE ON shop.orders TO prot_group; GRANT SELECT ON shop.orders TO prot_free;"
    with shop(place, TEXT, grants + "GRANT TRIGGER ON shop.orders TO prot_idle"):
        place.protect(by_name(ORDERS))
        roles = place.policies("shop.orders")
        assert roles["as_before"] == ["pg_read_all_data", "prot_group", "prot_reader", "prot_writer"]
        assert roles["tenant_floor"] == roles["tenant_reads"] == [LOGIN]
        assert place.rows("SELECT count(*) FROM shop.orders", "prot_dumper") == [(4,)]
        assert place.rows("SELECT count(*) FROM shop.orders", "prot_free") == [(4,)]
        assert place.works("DELETE FROM shop.orders", "prot_member") == 4


def test_a_grant_of_public_becomes_grants_of_todays_roles(place) -> None:
    with shop(place, TEXT, f"GRANT SELECT ON shop.orders TO PUBLIC; GRANT SELECT (id) ON shop.orders TO {LOGIN}"):
        place.run("REVOKE USAGE ON SCHEMA shop FROM prot_idle")
        place.protect(by_name(ORDERS))
        assert place.rows("SELECT count(*) FROM shop.orders", "prot_reader") == [(4,)]
        assert place.rows("SELECT count(*) FROM shop.orders", "prot_free") == [(4,)]
        assert denied(place.login, "SELECT secret FROM shop.orders")
        assert "prot_idle" not in place.policies("shop.orders")["as_before"]


def test_columns_of_public_stay_columns(place) -> None:
    with shop(place, TEXT, "GRANT SELECT (id, secret), UPDATE (note) ON shop.orders TO PUBLIC"):
        place.protect(by_name(ORDERS))
        assert place.rows("SELECT count(secret) FROM shop.orders", "prot_reader") == [(4,)]
        assert place.works("UPDATE shop.orders SET note = 'x'", "prot_reader") == 4
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            place.rows("SELECT account FROM shop.orders", "prot_reader")
        assert denied(place.login, "SELECT secret FROM shop.orders")


def test_the_owner_of_a_forced_table_keeps_its_rows(place) -> None:
    with shop(place, TEXT, "ALTER TABLE shop.orders FORCE ROW LEVEL SECURITY"):
        place.protect(by_name(ORDERS))
        assert place.rows("SELECT count(*) FROM shop.orders", "prot_owner") == [(4,)]


def test_the_printed_sql_never_forces(place, kind) -> None:
    assert "FORCE ROW" not in "".join(place.sql(by_name(*kind.tables), name) for name in by_name(*kind.tables))


OWN_RULES = (
    "ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;"
    "CREATE POLICY of_org ON shop.orders USING (account = current_setting('app.org'));"
    "GRANT SELECT ON shop.orders TO prot_reader"
)


def test_rules_that_a_table_has_already_are_listed_and_never_widened(place) -> None:
    with shop(place, TEXT, OWN_RULES):
        printed = place.sql(by_name(ORDERS), "shop.orders")
        assert "as_before ON" not in printed.replace('"', "")
        head = printed.split("BEGIN;")[0]
        assert "DECIDE FIRST" in head
        assert "of_org: permissive, FOR ALL, TO PUBLIC USING (account = current_setting('app.org'::text))" in collapsed(
            head.replace("\n-- ", " ")
        )
        place.run(printed)
        place.run("SET app.org = 'b-7'")
        assert place.rows("SELECT note FROM shop.orders", "prot_reader") == [("b1",)]
        place.run("RESET app.org")
        # What was said to be decided: until then an error, and never a row of another tenant.
        with pytest.raises(psycopg.errors.UndefinedObject):
            place.seen("SELECT note FROM shop.orders", "acme")
        place.run(*re.findall(r"-- +(ALTER POLICY .*);", printed))
        assert place.seen("SELECT note FROM shop.orders", "acme") == ["a1", "a2"]
        assert place.policies("shop.orders")["of_org"] == ["pg_read_all_data", "prot_reader"]


def test_policies_that_wait_for_enable_are_named_before_it(place) -> None:
    with shop(place, TEXT, "CREATE POLICY old ON shop.orders AS RESTRICTIVE USING (false)", GRANTS):
        head = place.sql(by_name(ORDERS), "shop.orders").split("BEGIN;")[0]
        assert "ENABLE below puts them into force" in head
        assert "old: restrictive, FOR ALL, TO PUBLIC USING false" in head


def test_names_cannot_end_a_comment(place) -> None:
    evil = "x\nCREATE TABLE shop.e(); --\rCREATE TABLE shop.f(); --\u2028"
    texts = (
        f'CREATE TABLE shop.orders (id int PRIMARY KEY, "{evil}" text, note text)',
        f'CREATE POLICY "{evil}" ON shop.orders TO prot_reader USING ("{evil}" IS NULL)',
        "ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY",
    )
    with shop(place, *texts):
        place.protect(by_name(declared("shop.orders", tenant=evil)))
        found = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = 'shop'"
        assert place.rows(found + " AND relkind = 'r'") == [(1,)]
        assert place.login.execute("SELECT note FROM shop.orders").fetchall() == []


def test_a_busy_table_is_left_as_it_is(place) -> None:
    with shop(place, TEXT + ";CREATE INDEX ON shop.orders (account)", f"GRANT SELECT ON shop.orders TO {LOGIN}"):
        printed = place.sql(by_name(ORDERS), "shop.orders")
        with psycopg.connect(place.admin.info.dsn, password=place.admin.info.password) as other:
            other.execute("SELECT count(*) FROM shop.orders")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                place.run(printed)
        place.run("ROLLBACK")
        assert place.policies("shop.orders") == {}
        place.run(printed)
        assert place.seen("SELECT note FROM shop.orders", "acme") == ["a1", "a2"]


def test_a_child_before_its_parent_is_refused(place) -> None:
    with shop(place, TEXT, ITEMS, GRANTS):
        tables = by_name(ORDERS, CHILD)
        policy = f"CREATE POLICY tenant_floor ON shop.orders AS RESTRICTIVE TO {LOGIN} USING (true)"
        on, off = (f"ALTER TABLE shop.orders {what} ROW LEVEL SECURITY" for what in ("ENABLE", "DISABLE"))
        for missing in (
            "SELECT",
            on,
            f"{off}; {policy}",
            f"{on}; ALTER POLICY tenant_floor ON shop.orders TO prot_idle",
        ):
            place.run(missing)
            with pytest.raises(
                psycopg.errors.RaiseException, match=r"shop\.orders is not protected for prot_login yet"
            ):
                place.run(place.sql(tables, "shop.items"))
            place.run("ROLLBACK")
            assert place.policies("shop.items") == {}
        place.protect(tables)


def test_an_index_is_printed_only_where_none_serves(place) -> None:
    with shop(place, TEXT):
        tables = by_name(ORDERS)
        assert "CREATE INDEX" in place.sql(tables, "shop.orders")
        place.run("CREATE INDEX ON shop.orders (account, id)")
        assert "CREATE INDEX" not in place.sql(tables, "shop.orders")


def test_each_inheritance_child_gets_an_index_of_its_own(place) -> None:
    with shop(place, *KINDS["inherited"].texts):
        place.protect(by_name(ORDERS))
        assert "account" in place.facts({"shop.old_orders": ORDERS})["shop.old_orders"].leads
        assert "CREATE INDEX" not in place.sql(by_name(ORDERS), "shop.orders")


def test_the_key_that_children_name_is_granted(place) -> None:
    key = "ALTER TABLE shop.orders ADD number int UNIQUE; UPDATE shop.orders SET number = id * 10"
    items = "CREATE TABLE shop.items (number int PRIMARY KEY, note text); INSERT INTO shop.items VALUES (10, 'a')"
    way = {"through": "number", "parent": "shop.orders", "key": "number"}
    with shop(place, TEXT, key, "ALTER TABLE shop.orders ALTER number SET NOT NULL", items):
        place.protect(by_name(ORDERS, declared("shop.items", tenant=way)))
        assert place.seen("SELECT note FROM shop.items", "acme") == ["a"]


def test_a_declared_child_that_does_not_exist_yet_blocks_nothing(place) -> None:
    with shop(place, TEXT):
        place.protect(by_name(ORDERS, CHILD), "shop.orders")
        assert place.seen("SELECT note FROM shop.orders", "acme") == ["a1", "a2"]


def test_an_administrator_needs_no_superuser(place) -> None:
    with shop(place, TEXT, ITEMS, GRANTS):
        tables = by_name(ORDERS, CHILD)
        place.run("CREATE ROLE prot_admin IN ROLE prot_owner, tenancy_owner")
        try:
            place.run("SET ROLE prot_admin")
            place.protect(tables)
            place.run("RESET ROLE")
            assert place.seen("SELECT note FROM shop.items", "acme") == ["a1", "a2"]
        finally:
            place.run("ROLLBACK", "RESET ROLE", "DROP OWNED BY prot_admin", "DROP ROLE prot_admin")


def test_the_index_goes_on_with_the_order_of_the_listing(place) -> None:
    note = {"note": {"type": "text", "sort": True}}
    table = declared("shop.orders", tenant="account", columns=note, list={"tool": "query_orders", "sort": "-note"})
    with shop(place, TEXT):
        place.protect(by_name(table))
        assert ("account", "note", "id") in place.facts(by_name(table))["shop.orders"].indexes


def test_an_index_that_was_not_finished_is_built_anew(place) -> None:
    with shop(place, TEXT):
        place.protect(by_name(ORDERS))
        place.run(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'shop.orders_account_tenantgate'::regclass"
        )
        assert problems([ORDERS], place.facts(by_name(ORDERS))) != []
        place.protect(by_name(ORDERS))
        assert problems([ORDERS], place.facts(by_name(ORDERS))) == []


def invokers(place):
    if place.admin.info.server_version < 150_000:
        pytest.skip("this server has no security_invoker")


def test_a_view_that_nobody_else_reads_is_read_as_the_caller(place) -> None:
    invokers(place)
    with shop(place, TEXT, VIEW.format("seen")):
        tables = by_name(ORDERS, SEEN)
        place.protect(tables, "shop.orders")
        assert denied(place.login, "SELECT secret FROM shop.orders")
        printed = place.sql(tables, "shop.seen")
        # Its condition names a column that is not declared: SQL as the login can then read it, so that is said.
        assert "shop.orders.secret" in printed
        assert "CREATE ROLE" in printed
        place.run(printed)
        assert place.seen("SELECT note FROM shop.seen", "acme") == ["a1", "a2"]
        assert place.login.execute("SELECT note FROM shop.seen").fetchall() == []
        # From now on the table's own SQL grants what the view touches.
        place.protect(tables, "shop.orders")
        assert place.seen("SELECT note FROM shop.seen", "b-7") == ["b1"]
        assert problems(tables.values(), place.facts(tables)) == []


def test_a_view_that_others_read_is_not_granted_until_somebody_decides(place) -> None:
    with shop(place, TEXT, VIEW.format("seen"), GRANTS + ";GRANT SELECT ON shop.seen TO PUBLIC"):
        tables = by_name(ORDERS, SEEN)
        place.protect(tables)
        assert denied(place.login, "SELECT note FROM shop.seen")
        assert place.rows("SELECT count(*) FROM shop.seen", "prot_idle") == [(4,)]
        printed = place.sql(tables, "shop.seen")
        assert "DECIDE FIRST" in printed
        assert "prot_reader" in printed


def test_the_other_way_for_a_view_is_complete_as_it_is_suggested(place) -> None:
    with shop(place, TEXT, VIEW.format("seen"), "GRANT SELECT ON shop.seen TO prot_reader"):
        tables = by_name(ORDERS, SEEN)
        place.protect(tables, "shop.orders")
        suggested = re.findall(r"-- +((?:CREATE|GRANT|ALTER|REVOKE) .*);", place.sql(tables, "shop.seen"))
        assert suggested[0].endswith("(security_invoker = true)")
        try:
            place.run(*[one.replace("RESET (security_invoker)", "RESET (security_barrier)") for one in suggested[1:]])
            place.protect(tables)
            assert place.seen("SELECT note FROM shop.seen", "acme") == ["a1", "a2"]
            assert place.login.execute("SELECT note FROM shop.seen").fetchall() == []
            assert denied(place.login, "SELECT secret FROM shop.orders")
        finally:
            place.run(f"DROP OWNED BY {LOGIN}_views; DROP ROLE {LOGIN}_views")


def test_a_view_before_its_table_is_refused(place) -> None:
    kind = KINDS["view of an owner that is bound"]
    with shop(place, *kind.texts):
        tables = by_name(*kind.tables)
        with pytest.raises(psycopg.errors.RaiseException, match=r"shop\.orders is not protected for prot_views yet"):
            place.run(place.sql(tables, "shop.seen"))
        place.run("ROLLBACK")
        assert denied(place.login, "SELECT note FROM shop.seen")


def test_a_view_of_a_view_is_limited_as_well(place) -> None:
    invokers(place)
    over = "CREATE VIEW shop.over WITH (security_invoker) AS SELECT s.account, s.id, s.note FROM shop.seen s"
    tables = by_name(ORDERS, SEEN, declared("shop.over", tenant="account", key=["id"]))
    with shop(place, TEXT, VIEW.format("seen"), over):
        place.protect(tables)
        place.protect(tables)
        assert place.seen("SELECT note FROM shop.over", "acme") == ["a1", "a2"]
        assert place.login.execute("SELECT note FROM shop.over").fetchall() == []


def test_losers_are_named_with_what_they_lose(place) -> None:
    grants = (
        "GRANT SELECT (note) ON shop.orders TO prot_reader; GRANT SELECT, INSERT, DELETE ON shop.orders TO prot_writer"
    )
    with shop(place, TEXT, grants, "GRANT INSERT ON shop.orders TO prot_idle"):
        expected = [
            ("prot_dumper", "sees no row of shop.orders"),
            ("prot_reader", "sees no row of shop.orders"),
            ("prot_writer", "sees no row of shop.orders, its UPDATE and DELETE change no row, its INSERT fails"),
        ]
        assert losers(place.admin, "shop.orders", LOGIN) == expected
        place.protect(by_name(ORDERS))
        assert losers(place.admin, "shop.orders", LOGIN) == []
        place.run("GRANT SELECT ON shop.orders TO prot_member")
        assert losers(place.admin, "shop.orders", LOGIN) == [("prot_member", "sees no row of shop.orders")]
        assert place.rows("SELECT * FROM shop.orders", "prot_member") == []
        assert "No policy is for these roles" in place.sql(by_name(ORDERS), "shop.orders")


def test_a_table_that_cannot_be_isolated_gets_no_sql(place) -> None:
    with shop(place, orders("numeric", "1", "2")), pytest.raises(StartupError, match="account is numeric"):
        place.sql(by_name(ORDERS), "shop.orders")


@pytest.fixture
def tenantgate(newest: Place, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run `tenantgate tools sql` with a catalog of two tables, as the administrator or as the login."""
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "shop.toml").write_text(
        '[[table]]\nname = "shop.orders"\ntenant = "account"\nscope = "orders:read"\ncolumns.note = { type = "text" }\n'
        '[[table]]\nname = "shop.items"\ntenant = { through = "order_id", parent = "shop.orders" }\n'
        'scope = "orders:read"\ncolumns.note = { type = "text" }\n'
    )

    def run(*arguments: str, key: str = "admin_url") -> subprocess.CompletedProcess[str]:
        info = (newest.admin if key == "admin_url" else newest.login).info
        url = f"postgresql://{info.user}:{info.password}@{info.host}:{info.port}/{info.dbname}"
        settings = f'catalog = ["tools"]\n[database]\nlogin = "{LOGIN}"\n{key} = "{url}"\n'
        (tmp_path / "tenantgate.toml").touch(mode=0o600)
        (tmp_path / "tenantgate.toml").write_text(settings)
        command = [
            sys.executable,
            "-m",
            "server",
            "tools",
            "sql",
            *arguments,
            "--config",
            str(tmp_path / "tenantgate.toml"),
        ]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    return run


def test_the_verb_prints_the_sql_and_changes_nothing(newest, tenantgate) -> None:
    with shop(newest, TEXT, ITEMS, GRANTS):
        for key in ("admin_url", "url"):
            printed = tenantgate("shop.orders", key=key)
            assert (printed.returncode, printed.stderr) == (0, "")
            assert printed.stdout == newest.sql(by_name(ORDERS, CHILD), "shop.orders")
        assert newest.policies("shop.orders") == {}
        steps = tenantgate("shop.items", "--own-column")
        assert steps.stdout == "\n".join(newest.steps(by_name(ORDERS, CHILD), "shop.items"))


def test_the_verb_names_a_mistake_in_one_line(newest, tenantgate) -> None:
    with shop(newest, TEXT, ITEMS):
        unknown = tenantgate("shop.none")
        assert (unknown.returncode, unknown.stdout) == (2, "")
        assert unknown.stderr == (
            "tenantgate: shop.none is not declared in the catalog; declare it, or name one of these: "
            "shop.items, shop.orders\n"
        )
        no_child = tenantgate("shop.orders", "--own-column")
        assert no_child.returncode == 1
        assert no_child.stderr.count("\n") == 1
        assert "is not the child of another table" in no_child.stderr
