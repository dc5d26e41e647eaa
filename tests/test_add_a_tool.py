"""docs/add-a-tool.md, followed to the letter: its files, commands and SQL are taken out of the page and run."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr
from support.server_of_its_own import OwnServer, server_of_its_own

from server.catalog.loading import load_catalog
from server.configuration import load_settings
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.preparation import prepare_database
from server.dev.stack import Stack
from server.doctor.examination import Report, examine
from server.settings import CONFIG_VARIABLE, Settings

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "add-a-tool.md").read_text(encoding="utf-8")
BLOCKS: list[tuple[str, str]] = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"^(?:--|#) ([\w./]+\.(?:toml|sql|py))\n")
FILES = {found[1]: text for _, text in BLOCKS if (found := NAMED.match(text))}
# Commands in the order of the page: the table, its policies, the proof, the other application's table.
PRINT_POLICIES, APPLY_POLICIES, SERVE, PRINT_INVOICES = (text for kind, text in BLOCKS if kind == "sh")
POLICY_FILE = "payments/migrations/0101_payments_policies.sql"
POLICIES, AS_BEFORE = (text for kind, text in BLOCKS if kind == "sql" and not NAMED.match(text))


@dataclass(frozen=True)
class Place:
    """The folder in which somebody follows the page, and its database."""

    folder: Path
    admin: psycopg.Connection[Any]
    login_url: str

    def write(self, *paths: str) -> None:
        """Write files of the page, as they stand there."""
        for path in paths:
            (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / path).write_text(FILES[path], encoding="utf-8")

    def run(self, commands: str) -> str:
        """Run commands of the page in a shell, and return what they print."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith("TENANTGATE_")}
        done = subprocess.run(
            ["sh", "-e", "-c", commands],
            cwd=self.folder,
            env=clean | {"PATH": path, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @property
    def settings(self) -> Settings:
        """The settings as the file has them."""
        try:
            return load_settings(self.folder / "tenantgate.toml")
        finally:
            os.environ.pop(CONFIG_VARIABLE, None)

    def doctor(self) -> Report:
        """Prove isolation as `tenantgate doctor` does."""
        settings = self.settings
        return examine(settings, load_catalog(settings.catalog))

    def pay(self) -> None:
        """Pay half of each claim, but for the first of each tenant."""
        self.admin.execute(
            "INSERT INTO app.payments (tenant_id, claim_number, amount, method, paid_on, approved_by) "
            "SELECT tenant_id, claim_number, claim_amount / 2, 'card', DATE '2026-11-01' + id::int, 'the boss' "
            "FROM app.claims WHERE claim_number NOT LIKE '%-001'"
        )


@pytest.fixture(scope="module")
def place(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A migrated database with the sample, and the settings of the page that lead to it."""
    folder = tmp_path_factory.mktemp("page")
    folder.chmod(0o711)
    key = stack.settings.database.signing_keys()[0]
    with EmbeddedPostgres(folder / "postgres") as postgres:
        url = prepare_database(postgres, key, stack.addresses.issuer)
        text = FILES["tenantgate.toml"] + (
            f'[database]\nadmin_url = "{postgres.admin_url}"\nurl = "{url}"\ncontext_keys = ["{key.text()}"]\n'
        )
        (folder / "tenantgate.toml").touch(mode=0o600)
        (folder / "tenantgate.toml").write_text(text, encoding="utf-8")
        (folder / "bin").mkdir()
        command = folder / "bin" / "tenantgate"
        command.write_text(f'#!/bin/sh\nexec {sys.executable} -m server "$@"\n', encoding="utf-8")
        command.chmod(0o755)
        with psycopg.connect(postgres.admin_url, autocommit=True) as admin:
            yield Place(folder, admin, url)
    EmbeddedPostgres(folder / "postgres").remove()


@pytest.fixture(scope="module")
def payments(place: Place) -> Place:
    """The page followed up to its fourth step."""
    place.write("payments/migrations/0100_payments.sql", "payments/tools/payments.toml")
    place.run(PRINT_POLICIES)
    place.run(APPLY_POLICIES)
    place.pay()
    return place


def served(stack: Stack, place: Place) -> Any:
    """Serve with the page's catalog and database."""
    return server_of_its_own(stack, catalog=place.settings.catalog, url=SecretStr(place.login_url))


def rows(person: OwnServer, tool: str, name: str, **arguments: Any) -> list[dict[str, Any]]:
    result = person.call(tool, **arguments)
    assert not result["isError"], result
    return cast("list[dict[str, Any]]", result["structuredContent"][name])


def test_the_declared_table_of_the_page_serves_each_tenant_its_own_payments(stack, payments) -> None:
    report = payments.doctor()
    assert report.holds, report.failed
    assert SERVE.splitlines()[0].startswith("tenantgate doctor")
    with served(stack, payments) as mike:
        emma = OwnServer(mike.url, stack.issuer.mint("emma-broker-b"))
        for person, numbers in [(mike, ["CLM-A-003", "CLM-A-002"]), (emma, ["CLM-B-002"])]:
            assert [one["claim_number"] for one in rows(person, "query_payments", "payments")] == numbers
            (month,) = rows(person, "summarize_payments", "groups", group_by="month")
            assert (month["key"], month["count"]) == ("2026-11", len(numbers))
        (one,) = rows(mike, "query_payments", "payments", claim_number="CLM-A-003")
        assert one == {"claim_number": "CLM-A-003", "amount": "637.63", "method": "card", "paid_on": "2026-11-04"}
        assert rows(mike, "query_payments", "payments", claim_number="CLM-B-002") == []
        assert rows(mike, "query_payments", "payments", period="last_month") is not None
        assert mike.call("query_payments", tenant_id="broker-b")["isError"]
        assert rows(mike, "query_claims", "claims")


def test_the_page_shows_the_policies_that_are_printed(payments) -> None:
    printed = (payments.folder / POLICY_FILE).read_text(encoding="utf-8")
    for statement in re.split(r"(?<=;)\n", POLICIES.strip()):
        assert statement in printed
    assert payments.run(APPLY_POLICIES).splitlines()[-1] == "already there: 0101_payments_policies.sql"


def test_a_column_that_is_not_declared_cannot_be_read(payments) -> None:
    with psycopg.connect(payments.login_url, autocommit=True) as login:
        assert login.execute("SELECT count(*) FROM app.payments").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            login.execute("SELECT approved_by FROM app.payments")


@pytest.mark.parametrize(
    "broken",
    [
        "DROP POLICY tenant_floor ON app.payments",
        "ALTER POLICY tenant_reads ON app.payments USING (true)",
        "ALTER TABLE app.payments DISABLE ROW LEVEL SECURITY",
        "GRANT INSERT ON app.payments TO app_user",
    ],
)
def test_a_step_of_the_page_that_is_left_out_is_found_and_the_printed_sql_repairs_it(payments, broken) -> None:
    payments.admin.execute(broken)
    assert "app.payments" in {offender.object for check in payments.doctor().failed for offender in check.offenders}
    payments.admin.execute((payments.folder / POLICY_FILE).read_bytes())
    report = payments.doctor()
    assert report.holds, report.failed


def test_the_select_of_the_page_joins_the_tenants_own_rows(stack, payments) -> None:
    payments.write("payments/tools/reports.toml")
    with served(stack, payments) as mike:
        assert rows(mike, "paid_share", "rows") == [
            {"claim_number": "CLM-A-001", "paid": "0", "share": "0.00"},
            {"claim_number": "CLM-A-002", "paid": "4075.25", "share": "0.50"},
            {"claim_number": "CLM-A-003", "paid": "637.63", "share": "0.50"},
        ]
        assert rows(mike, "paid_share", "rows", since="2999-01-01") == []


def test_the_tool_in_python_of_the_page_answers_each_tenant(stack, payments) -> None:
    payments.write("payments/tools/waiting_claims.py")
    with served(stack, payments) as mike:
        emma = OwnServer(mike.url, stack.issuer.mint("emma-broker-b"))
        for person, number in [(mike, "CLM-A-001"), (emma, "CLM-B-001")]:
            answer = person.call("waiting_claims")["structuredContent"]
            filed = payments.admin.execute(
                "SELECT (filed_at AT TIME ZONE 'UTC')::date, (now() AT TIME ZONE 'UTC')::date FROM app.claims "
                "WHERE claim_number = %s",
                (number,),
            ).fetchone()
            assert filed is not None
            first, today = cast("tuple[date, date]", filed)
            days = [first + timedelta(days=number) for number in range(1, (today - first).days + 1)]
            assert answer == {
                "claims": [{"claim_number": number, "working_days": sum(day.isoweekday() < 6 for day in days)}],
                "more": False,
            }
        assert mike.call("waiting_claims", tenant="broker-b")["isError"]
        payments.admin.execute("UPDATE app.payments SET claim_number = 'CLM-A-003' WHERE claim_number = 'CLM-A-002'")
        answer = mike.call("waiting_claims", limit=1)["structuredContent"]
        payments.admin.execute("UPDATE app.payments SET claim_number = 'CLM-A-002' WHERE amount = 4075.25")
        assert (len(answer["claims"]), answer["more"]) == (1, True)


def test_a_table_that_others_write_keeps_its_owner_and_its_writers(stack, payments) -> None:
    place = payments
    place.admin.execute(
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
    place.write("payments/tools/invoices.toml")
    place.run(PRINT_INVOICES)
    printed = (place.folder / "invoices.sql").read_text(encoding="utf-8")
    assert AS_BEFORE.strip() in printed
    place.admin.execute(printed.encode())
    report = place.doctor()
    assert report.holds, report.failed
    for number, role in enumerate(["billing", "billing_clerk"]):
        with psycopg.connect(make_conninfo(place.login_url, user=role, password="billing"), autocommit=True) as writer:
            writer.execute("INSERT INTO billing.invoices VALUES (%s, 'broker-b', 5)", (10 + number,))
            assert writer.execute("UPDATE billing.invoices SET total = total + 1").rowcount == 3 + number
            assert writer.execute("SELECT count(*) FROM billing.invoices").fetchone() == (3 + number,)
    with served(stack, place) as mike:
        assert rows(mike, "query_invoices", "invoices") == [{"number": 1, "total": "12"}]
        assert rows(mike, "query_invoices", "invoices", number=2) == []


def test_the_page_leaves_no_block_untried() -> None:
    used = {"tenantgate.toml", *(path for path in FILES if path.startswith("payments/"))}
    assert FILES.keys() == used
    assert len(FILES) + 4 + 2 == len(BLOCKS)
