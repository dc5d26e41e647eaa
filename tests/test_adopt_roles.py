"""The applications that use adopted tables notice nothing, but for exactly what the report says."""

import subprocess
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg
import pytest
from adoption.place import PASSWORD, SHOP, Place, place_for
from adoption.rows import Filler
from support.second_server import MISSING, PROGRAMS, second_server

from server.adoption.losses import losses_of
from server.adoption.report import AdoptionReport

IDS = ["acme", "b-7", "c"]
ROLES = (
    "shop_owner NOLOGIN",
    f"shop_app LOGIN PASSWORD '{PASSWORD}'",
    f"shop_writer LOGIN PASSWORD '{PASSWORD}'",
    f"shop_reports LOGIN PASSWORD '{PASSWORD}'",
    "shop_columns NOLOGIN",
    "shop_group NOLOGIN",
    f"shop_member LOGIN PASSWORD '{PASSWORD}' IN ROLE shop_group",
    f"shop_dumper LOGIN PASSWORD '{PASSWORD}' IN ROLE pg_read_all_data",
    f"shop_free LOGIN BYPASSRLS PASSWORD '{PASSWORD}'",
    "shop_idle NOLOGIN",
)
EVERYBODY = [role.split()[0] for role in ROLES]
GRANTS = """
GRANT shop_owner TO shop_app;
GRANT USAGE ON SCHEMA shop, billing TO shop_owner, shop_writer, shop_reports, shop_columns, shop_group, shop_free,
  shop_idle;
GRANT SELECT ON ALL SEQUENCES IN SCHEMA shop TO shop_owner, shop_writer, shop_reports, shop_group, shop_free;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shop, billing TO shop_writer;
GRANT SELECT ON ALL TABLES IN SCHEMA shop, billing TO shop_reports, shop_group, shop_free;
GRANT SELECT (id, number) ON shop.orders TO shop_columns;
GRANT SELECT ON shop.countries TO PUBLIC;
GRANT SELECT ON shop.jobs TO PUBLIC;
CREATE SEQUENCE shop.tickets;
GRANT USAGE ON SEQUENCE shop.tickets TO PUBLIC;
CREATE FUNCTION shop.order_count() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS 'SELECT count(*) FROM shop.orders';
CREATE SCHEMA extra;
CREATE EXTENSION pg_stat_statements SCHEMA extra;
DO $$ DECLARE t record; BEGIN
  FOR t IN SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname IN ('shop', 'billing')
  LOOP EXECUTE format('ALTER TABLE %s OWNER TO shop_owner', t.name); END LOOP;
END $$;
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """The shop on a distribution's server, with the roles of an application, adopted and migrated."""
    if PROGRAMS is None:
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("roles")
    folder.chmod(0o711)
    with (
        second_server(folder / "postgres") as url,
        place_for(url, "roles", folder / "adopted", SHOP.read_text().replace("{type}", "text"), roles=ROLES) as place,
    ):
        place.admin.execute(GRANTS.encode())
        own = ("shop.orders", "shop.Delivery Notes", "shop.events", "shop.loans", "shop.visits", "billing.orders")
        fixed = {(table, "account_id"): IDS.__getitem__ for table in own}
        Filler(place.admin, ["shop", "billing"], ("shop.accounts", "id"), IDS, fixed=fixed).fill(2)
        yield place


@pytest.fixture(scope="module")
def before(place: Place) -> dict[tuple[str, str], int | str]:
    return counts(place)


@pytest.fixture(scope="module")
def adopted(place: Place, before: dict[tuple[str, str], int | str]) -> AdoptionReport:
    """Adopt and migrate, after everything that was there was counted."""
    report = place.adopt("account_id", shared=["shop.countries"], prove=True)
    place.migrate()
    return report


def counts(place) -> dict[tuple[str, str], int | str]:
    """Return what each role sees of each table, partition and view."""
    query = (
        "SELECT format('%I.%I', schemaname, name) FROM (SELECT schemaname, tablename AS name FROM pg_tables UNION ALL"
    )
    query += " SELECT schemaname, viewname FROM pg_views) x WHERE schemaname IN ('shop', 'billing') ORDER BY 1"
    found: dict[tuple[str, str], int | str] = {}
    for (table,) in place.admin.execute(query.encode()).fetchall():
        for role in EVERYBODY:
            try:
                found[role, table] = place.count(f"SELECT count(*) FROM {table}", role)
            except psycopg.errors.InsufficientPrivilege:
                found[role, table] = "denied"
    return found


def test_every_role_sees_exactly_the_rows_of_before(place, before, adopted) -> None:
    assert counts(place) == before
    assert before["shop_member", "shop.orders"] == before["shop_dumper", "shop.orders"] == 6
    assert before["shop_columns", "shop.orders"] == 6
    assert before["shop_idle", "shop.countries"] == 6


def test_prove_measured_that_before_anything_was_changed(adopted) -> None:
    assert adopted.proved.keys() >= {"shop.orders", "shop.item_notes", "billing.invoices"}
    assert all(one.holds for one in adopted.proved.values())
    measured = adopted.proved["shop.orders"].before
    assert measured.keys() >= {"shop_owner", "shop_app", "shop_writer", "shop_reports", "shop_member", "shop_dumper"}


WRITES = {
    "insert": "INSERT INTO shop.orders (account_id, number, placed_at, total) VALUES ('acme', 'n', now(), 1)"
    " RETURNING id",
    "on conflict do update": "INSERT INTO shop.accounts VALUES ('acme', 'x'), ('c', 'y')"
    " ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING name",
    "on conflict do nothing": "INSERT INTO shop.accounts VALUES ('acme', 'x'), ('new', 'y') ON CONFLICT DO NOTHING"
    " RETURNING id",
    "update": "UPDATE shop.orders SET total = total + 1 RETURNING total",
    "move to another tenant": "UPDATE shop.orders SET account_id = 'c' WHERE account_id = 'acme' RETURNING 1",
    "delete with cascade": "DELETE FROM shop.order_items RETURNING id",
    "merge of a partitioned table": "INSERT INTO shop.events (account_id, kind) SELECT id, 'x' FROM shop.accounts"
    " RETURNING id",
    "child": "INSERT INTO shop.order_items (order_id, title, quantity) SELECT id, 'x', 1 FROM shop.orders RETURNING id",
    "lock": "SELECT FROM shop.orders FOR UPDATE",
}
ROWS = {"on conflict do nothing": 1, "on conflict do update": 2, "merge of a partitioned table": 3}


@pytest.mark.parametrize("role", ["shop_owner", "shop_app", "shop_writer"])
@pytest.mark.parametrize("write", WRITES)
def test_writes_work_as_before(place, adopted, role, write) -> None:
    # Rows of the shop: six orders and six items, two orders of acme.
    expected = ROWS.get(write, {"insert": 1, "move to another tenant": 2}.get(write, 6))
    if write.startswith("delete"):
        with place.admin.transaction(force_rollback=True):
            place.admin.execute("DELETE FROM shop.item_notes")
            place.admin.execute(f"SET LOCAL ROLE {role}".encode())
            assert place.admin.execute(WRITES[write].encode()).rowcount == 6
        return
    assert place.works(WRITES[write], role) == expected


def copies_into(place, role: str, table: str) -> bool:
    """Whether a role can COPY a table's own rows back into it, as a restore does."""
    with place.admin.transaction(force_rollback=True):
        place.admin.execute(f"SET LOCAL ROLE {role}".encode())
        with place.admin.cursor() as cursor:
            try:
                with cursor.copy(f"COPY {table} FROM STDIN".encode()) as copy:
                    copy.write(b"")
            except psycopg.errors.FeatureNotSupported:
                return False
    return True


def dumps(place, role: str, table: str) -> bool:
    assert PROGRAMS is not None
    parts = urlsplit(place.url)
    url = parts._replace(netloc=f"{role}:{PASSWORD}@{parts.hostname}:{parts.port}").geturl()
    command = [str(PROGRAMS / "pg_dump"), url, "--data-only", "--table", table]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "affected by row-level security" in done.stderr, done.stderr
    return done.returncode == 0


@pytest.mark.parametrize("table", ["shop.orders", "shop.order_items", "shop.countries"])
def test_what_is_lost_is_exactly_what_the_report_says(place, adopted, table) -> None:
    lost = adopted.losses[table].roles
    can_insert = {"shop_owner", "shop_app", "shop_writer"}
    for role in EVERYBODY:
        refused = role in can_insert and not copies_into(place, role, table)
        assert ("copy_from" in lost.get(role, ())) is refused, role
    reads = {"shop_writer", "shop_reports", "shop_member", "shop_dumper", "shop_app", "shop_free"}
    for role in reads:
        assert ("pg_dump" in lost.get(role, ())) is not dumps(place, role, table), role
    assert {role for role, what in lost.items() if "pg_dump" in what} <= reads
    assert not any("rows" in what for what in lost.values())


def test_the_types_of_columns_that_policies_name_cannot_be_changed_as_the_report_says(place, adopted) -> None:
    assert adopted.losses["shop.orders"].fixed == ("account_id", "id", "number")
    for column, refused in (("account_id", True), ("number", True), ("api_token", False), ("email", False)):
        statement = f"ALTER TABLE shop.orders ALTER COLUMN {column} TYPE varchar(99)"
        with place.admin.transaction(force_rollback=True):
            place.admin.execute(
                "ALTER TABLE shop.orders DROP COLUMN token_length; DROP VIEW shop.open_orders; DROP MATERIALIZED VIEW"
                " shop.order_counts"
            )
            if refused:
                with pytest.raises(psycopg.errors.FeatureNotSupported, match="used in a policy definition"):
                    place.admin.execute(statement.encode())
            else:
                place.admin.execute(statement.encode())


def test_an_undeclared_table_that_public_may_read_is_out_of_the_logins_reach(place, adopted, before) -> None:
    # Today's roles have it by name now.
    assert counts(place)["shop_idle", "shop.jobs"] == before["shop_idle", "shop.jobs"] == 6
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        place.count("SELECT count(*) FROM shop.jobs", place.login)


def test_a_function_that_public_may_run_is_out_of_the_logins_reach_and_others_still_run_it(place, adopted) -> None:
    assert place.count("SELECT shop.order_count()", "shop_idle") == 6
    assert place.count("SELECT nextval('shop.tickets')", "shop_reports") == 1
    for query in ("SELECT shop.order_count()", "SELECT nextval('shop.tickets')"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            place.count(query, place.login)
    place.register(IDS)
    assert place.doctor() == []


def test_a_second_run_finds_nothing_to_do_and_loses_the_same(place, adopted) -> None:
    report = place.adopt("account_id", shared=["shop.countries"])
    assert report.changes == []
    with psycopg.connect(place.url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
        connection.execute("SET search_path = pg_catalog")
        again = losses_of(connection, report.decisions, place.login)
    assert {name: one.roles for name, one in again.items()} == {name: one.roles for name, one in adopted.losses.items()}


def test_a_grant_of_later_sees_no_row_until_it_is_named_as_the_report_says(place, adopted) -> None:
    with place.admin.transaction(force_rollback=True):
        place.admin.execute("GRANT SELECT ON shop.orders TO shop_idle")
        assert place.count("SELECT count(*) FROM shop.orders", "shop_idle") == 0
        place.admin.execute("ALTER POLICY as_before ON shop.orders TO shop_writer, shop_idle")
        assert place.count("SELECT count(*) FROM shop.orders", "shop_idle") == 6
