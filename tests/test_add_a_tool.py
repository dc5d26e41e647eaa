"""docs/add-a-tool.md, followed to the letter: its SQL and Python are taken out of the text and run."""

import re
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr
from server_of_its_own import OwnServer, one_more_tool, server_of_its_own

from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.preparation import prepare_database
from server.doctor.examination import examine

TEXT = (Path(__file__).parents[1] / "docs" / "add-a-tool.md").read_text(encoding="utf-8")


def block(path: str) -> str:
    """Return the code block of the page that names this file in its first line."""
    blocks = re.findall(r"^```(?:sql|python)\n(?:--|#) (\S+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
    return dict(blocks)[path]


@pytest.fixture
def database(stack, tmp_path_factory):
    """A migrated database of its own: its administrator's connection, and the settings that lead to it."""
    folder = tmp_path_factory.mktemp("own")
    folder.chmod(0o711)
    with EmbeddedPostgres(folder / "postgres") as postgres:
        url = prepare_database(postgres, stack.settings.database.signing_keys()[0], stack.addresses.issuer)
        with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
            yield admin, stack.settings.database.model_copy(update={"url": SecretStr(url)})


def migrate(admin: psycopg.Connection, path: str) -> None:
    """Apply a block as `tenantgate migrate` applies a file: in one transaction."""
    with admin.transaction():
        admin.execute(block(path).encode())


def test_the_tool_of_the_page_serves_each_tenant_its_own_payments(stack, database, tmp_path) -> None:
    admin, settings = database
    assert examine(settings).holds
    migrate(admin, "sql/migrations/0100_payments.sql")
    report = examine(settings)
    assert report.holds, report.failed
    admin.execute(
        "INSERT INTO app.payments (tenant_id, claim_id, amount, paid_on) "
        "SELECT tenant_id, id, claim_amount / 2, DATE '2026-11-01' + id::int FROM app.claims"
    )
    with (
        one_more_tool(tmp_path, "list_payments", block("tools/list_payments.py")),
        server_of_its_own(stack, url=settings.url) as mikes,
    ):
        emmas = OwnServer(mikes.url, stack.issuer.mint("emma-broker-b"))
        for server, numbers in [(mikes, ["CLM-A-003", "CLM-A-002", "CLM-A-001"]), (emmas, ["CLM-B-002", "CLM-B-001"])]:
            answer = server.call("list_payments")["structuredContent"]
            assert [payment["claim_number"] for payment in answer["payments"]] == numbers
            assert not answer["more"]
        one = mikes.call("list_payments", limit=1)["structuredContent"]
        assert one == {
            "payments": [{"claim_number": "CLM-A-003", "amount": "637.63", "paid_on": "2026-11-04"}],
            "more": True,
        }
        assert mikes.call("list_payments", paid_from="2027-01-01")["structuredContent"]["payments"] == []
        assert mikes.call("list_payments", tenant_id="broker-b")["isError"]
        assert mikes.call("query_claims")["structuredContent"]["claims"]


def test_a_step_of_the_page_that_is_left_out_is_found(database) -> None:
    admin, settings = database
    text = block("sql/migrations/0100_payments.sql")
    floor = re.search(r"CREATE POLICY tenant_floor.*?;\n", text, re.DOTALL)
    assert floor is not None
    with admin.transaction():
        admin.execute(text.replace(floor[0], "").encode())
    assert [offender.object for check in examine(settings).failed for offender in check.offenders] == ["app.payments"]


def test_a_table_that_others_write_keeps_its_owner_and_its_writers(database, stack, tmp_path) -> None:
    admin, settings = database
    admin.execute(
        """
        CREATE ROLE billing LOGIN PASSWORD 'billing';
        CREATE ROLE billing_clerk LOGIN PASSWORD 'billing';
        CREATE SCHEMA billing AUTHORIZATION billing;
        CREATE TABLE billing.invoices (id bigint PRIMARY KEY, tenant_id text NOT NULL, total numeric NOT NULL);
        ALTER TABLE billing.invoices OWNER TO billing;
        INSERT INTO billing.invoices VALUES (1, 'broker-a', 10), (2, 'broker-b', 20);
        GRANT USAGE ON SCHEMA billing TO billing_clerk;
        GRANT SELECT, INSERT, UPDATE, DELETE ON billing.invoices TO billing_clerk;
        """
    )
    migrate(admin, "sql/migrations/0101_invoices.sql")
    report = examine(settings)
    assert report.holds, report.failed
    for number, role in enumerate(["billing", "billing_clerk"]):
        url = make_conninfo(settings.url.get_secret_value(), user=role, password="billing")
        with psycopg.connect(url, autocommit=True) as writer:
            writer.execute("INSERT INTO billing.invoices VALUES (%s, 'broker-b', 5)", (10 + number,))
            assert writer.execute("UPDATE billing.invoices SET total = total + 1").rowcount == 3 + number
            assert writer.execute("SELECT count(*) FROM billing.invoices").fetchone() == (3 + number,)
    source = block("tools/list_payments.py")
    statement = re.search(r'    SELECT c\.claim_number.*?    """', source, re.DOTALL)
    assert statement is not None
    invoices = (
        "SELECT 'invoice ' || id AS claim_number, total::text AS amount, 'never' AS paid_on FROM billing.invoices "
        'WHERE $1::date IS NULL ORDER BY id LIMIT $2::int"""'
    )
    with (
        one_more_tool(tmp_path, "list_payments", source.replace(statement[0], invoices)),
        server_of_its_own(stack, url=settings.url) as server,
    ):
        shown = server.call("list_payments")["structuredContent"]["payments"]
        assert [(one["claim_number"], one["amount"]) for one in shown] == [("invoice 1", "12")]
