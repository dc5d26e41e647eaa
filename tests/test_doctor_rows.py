"""Live proofs on real rows, and the administrator's counts beside what each tenant sees."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from support.examined_database import CATALOG
from support.examined_database import examined as examined  # noqa: PLC0414  # a fixture
from support.timed import timed

from server.catalog.loading import load_catalog
from server.doctor.examination import examine
from server.doctor.proof import require_isolation
from server.errors import UnreachableError
from server.settings import Settings

SLOW = """
[[table]]
name = "desk.slow_tickets"
tenant = "tenant"
key = ["id"]
scope = "desk:read"
list = { tool = "query_slow_tickets" }

[table.columns]
id = { type = "integer" }
"""


def problems(report) -> dict[tuple[str, str], str]:
    return {(check.name, one.object): one.problem for check in report.failed for one in check.offenders}


@contextmanager
def rewritten(examined, relation: str, condition: str):
    """Let both policies of a relation say something else."""
    with psycopg.connect(examined.admin_url) as connection:
        query = "SELECT polname, pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = %s::regclass"
        genuine = connection.execute(query, (relation,)).fetchall()
    own = {name: text for name, text in genuine if name in {"tenant_floor", "tenant_reads"}}
    broken = [f"ALTER POLICY {name} ON {relation} USING ({condition})" for name in own]
    with examined.broken(
        "; ".join(broken), "; ".join(f"ALTER POLICY {n} ON {relation} USING ({t})" for n, t in own.items())
    ):
        yield
    assert examined.offenders() == {}


def test_rows_of_others_are_counted_for_own_columns_and_for_children(examined) -> None:
    with rewritten(
        examined, "desk.tickets", "tickets.tenant = ANY (ARRAY[(SELECT tenancy.current_tenant()), 'broker-c'])"
    ):
        found = problems(examined.report())
    assert found["own_rows", "desk.tickets"] == "the tenant broker-b sees 20 rows of others"
    assert found["foreign_rows", "desk.tickets"] == "a tenant that does not exist sees 20 rows"
    assert found["no_context", "desk.tickets"] == "rows are seen without a tenant context"
    # The policy of the child is as it was.
    assert found["own_rows", "desk.notes"] == "the tenant broker-b sees 100 rows of others"
    assert found["foreign_rows", "desk.notes"] == "a tenant that does not exist sees 100 rows"


def test_rows_without_a_parent_belong_to_no_tenant(examined) -> None:
    with rewritten(
        examined,
        "desk.notes",
        "notes.ticket_id IS NULL OR notes.ticket_id = ANY (ARRAY(SELECT p.id FROM desk.tickets p))",
    ):
        assert problems(examined.report())["own_rows", "desk.notes"] == "the tenant broker-b sees 1 row of others"


def test_a_policy_that_hides_rows_is_found_by_the_administrators_count(examined) -> None:
    """Nobody sees too much, so only a second count can tell."""
    condition = "tickets.tenant = (SELECT tenancy.current_tenant()) AND tickets.id > 30"
    with rewritten(examined, "desk.tickets", condition):
        found = problems(examined.report(admin=True))
    assert (
        found["counts", "desk.tickets"] == "as the tenant broker-c, 10 rows are seen, but the administrator counts 20"
    )
    assert ("counts", "desk.notes") in found
    assert ("counts", "app.claims") not in found
    assert not {"own_rows", "foreign_rows", "no_context"} & {check for check, _ in found}


def test_the_administrator_finds_tenants_in_the_data_and_in_the_registry(examined) -> None:
    """broker-c has rows and is not registered; `quiet` is registered and has none."""
    quiet = "INSERT INTO tenancy.tenants VALUES ('quiet', 'Quiet')"
    with examined.broken(quiet, "DELETE FROM tenancy.tenants WHERE tenant_id = 'quiet'"):
        report = examined.report(admin=True)
    assert report.holds, report.failed
    assert report.tenants == 4
    assert report.notices == ("desk.ticket_counts: not counted, because the view reads its tables as desk_views",)


def test_twenty_tenants_of_many_are_counted_for_each_relation(examined) -> None:
    rows = "INSERT INTO desk.tickets SELECT 1000 + n, 'many-' || n, 't', 'open', '' FROM generate_series(100, 999) n"
    with examined.broken(rows, "DELETE FROM desk.tickets WHERE id > 1000"):
        assert examined.report(admin=True).tenants >= 20


def test_rows_of_a_tenant_that_nobody_can_have_are_a_notice(examined) -> None:
    rows = "INSERT INTO desk.tickets VALUES (999, '!', 't', 'open', '')"
    with examined.broken(rows, "DELETE FROM desk.tickets WHERE id = 999"):
        report = examined.report(admin=True)
    assert report.holds
    assert "desk.tickets: no caller can have the tenant '!' of tenant, so nobody sees its rows" in report.notices


def test_roles_that_lose_rows_are_named(examined) -> None:
    grant = "GRANT USAGE ON SCHEMA desk TO desk_reports; GRANT SELECT (id), UPDATE ON desk.tickets TO desk_reports"
    with examined.broken(f"CREATE ROLE desk_reports; {grant}", "DROP OWNED BY desk_reports; DROP ROLE desk_reports"):
        assert examined.offenders() == {}
        (said,) = [one for one in examined.report(admin=True).notices if "desk_reports" in one]
    assert said.startswith("desk_reports sees no row of desk.tickets, its UPDATE and DELETE change no row: no policy")


def test_an_administrator_that_policies_bind_is_a_notice_and_no_wrong_count(examined) -> None:
    with examined.broken(
        "CREATE ROLE desk_admin LOGIN PASSWORD 'x' IN ROLE tenancy_owner; GRANT USAGE ON SCHEMA desk TO desk_admin;"
        "GRANT SELECT ON desk.tickets, desk.notes TO desk_admin",
        "DROP OWNED BY desk_admin; DROP ROLE desk_admin",
    ):
        host = examined.admin_url.rpartition("@")[2]
        report = examined.report(admin=True, admin_url=f"postgresql://desk_admin:x@{host}")
    assert report.holds, report.failed
    assert "app.claims: not counted: permission denied for schema app" in report.notices
    (said,) = [one for one in report.notices if one.startswith("desk.tickets: ")]
    assert said.endswith("20 rows are seen, but the administrator counts 0, whom policies bind too")


def test_without_the_registry_no_real_tenant_is_known_but_to_the_administrator(examined) -> None:
    settings = Settings.model_validate(examined.settings().model_dump() | {"tenancy": {"registry": False}})
    report = examine(settings, examined.catalog)
    assert report.holds
    assert report.summary.startswith("8 relations proved with no real tenants: ")
    assert report.notices == ("without the registry no real tenant is known; `tenantgate doctor --admin` finds them",)
    assert examine(settings, examined.catalog, admin=True).tenants >= 3


@timed
def test_rows_that_take_too_long_to_count_are_sampled_and_a_notice_says_so(examined, tmp_path) -> None:
    # Nine million rows for each ticket, made while they are read.
    view = (
        "CREATE VIEW desk.slow_tickets WITH (security_invoker = true) AS SELECT t.id, t.tenant FROM desk.tickets t, "
        "generate_series(1, 3000 + 0 * length(t.title)) a, generate_series(1, 3000 + 0 * length(t.title)) b"
    )
    file = tmp_path / "slow.toml"
    file.write_text(SLOW)
    catalog = load_catalog([*CATALOG, str(file)])
    settings = examined.settings(statement_timeout_ms=1_500)
    with examined.broken(view, "DROP VIEW desk.slow_tickets"), ThreadPoolExecutor() as threads:
        examined.protect(catalog, "desk.slow_tickets")
        examining = threads.submit(examine, settings, catalog)
        assert "desk.slow_tickets" in locked_while(examined, examining) <= {"desk.slow_tickets", "desk.tickets"}
        report = examining.result()
        quick = examine(settings, catalog, exact=False)
    assert report.holds, report.failed
    assert report.notices == (
        "desk.slow_tickets: 1,000 rows per tenant were checked, because all of them would have taken too long",
    )
    assert "desk.slow_tickets (view, own column tenant)" in report.summary
    assert quick.holds
    assert quick.notices == ()
    assert quick.duration_s < report.duration_s


def locked_while(examined, examining) -> set[str]:
    """Return the help desk's relations that are locked while the slow one is being read."""
    query = (
        "SELECT 'desk.' || c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation "
        "WHERE c.relnamespace = 'desk'::regnamespace AND c.relkind IN ('r', 'p', 'v')"
    )
    with psycopg.connect(examined.admin_url, autocommit=True) as connection:
        while not examining.done():
            locked = {row[0] for row in connection.execute(query).fetchall()}
            time.sleep(0.1)
            if "desk.slow_tickets" in locked and locked == {row[0] for row in connection.execute(query).fetchall()}:
                return locked
    return set()


def test_a_table_that_is_being_changed_is_neither_proved_nor_a_finding(examined) -> None:
    """A running server goes on as the last proof left it, and one that starts waits."""
    with psycopg.connect(examined.admin_url) as connection:
        connection.execute("LOCK TABLE desk.events IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(UnreachableError, match=r"cannot run now \(canceling statement due to lock timeout\)"):
            examined.report()
        assert require_isolation(examined.settings(), examined.catalog) is None
