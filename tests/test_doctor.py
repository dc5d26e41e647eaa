"""The doctor finds each mistake that would end isolation, and nothing serves before it is content (R79 to R89)."""

import json
import re
import subprocess
import sys
import tomllib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from server.administration.key_table import put_key
from server.administration.migrations import migrate
from server.database.context_keys import new_context_key
from server.database.statement import Statement
from server.dev.sample import load_sample
from server.doctor.examination import examine, run_check
from server.doctor.proof import require_isolation
from server.errors import SettingsError, StartupError, UnreachableError
from server.settings import DatabaseSettings
from sql import sql_files

CHECKS = {file.name.removesuffix(".sql"): file for file in sql_files("checks")}
KEY = new_context_key("k1")


@dataclass(frozen=True)
class Examined:
    """A database of its own, as `tenantgate migrate` leaves it."""

    admin_url: str
    url: str

    def settings(self, *keys: str) -> DatabaseSettings:
        return DatabaseSettings.model_validate({"url": self.url, "context_keys": keys or (KEY.text(),)})

    def run(self, text: str) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(text.encode())

    def definition(self) -> str:
        """Return the text that makes tenancy.verified_context() what it is now."""
        with psycopg.connect(self.admin_url) as connection:
            text = "SELECT pg_get_functiondef('tenancy.verified_context()'::regprocedure)"
            return connection.execute(text).fetchall()[0][0]

    def offenders(self, name: str) -> list[str]:
        """Return what one check finds, as the login sees it."""
        with psycopg.connect(self.url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
            return [one.object for one in run_check(connection, CHECKS[name], "app_user").offenders]

    def failed(self, *keys: str) -> dict[str, list[str]]:
        """Return the checks and proofs that do not hold, with the problems they tell."""
        report = examine(self.settings(*keys))
        return {check.name: [one.problem for one in check.offenders] for check in report.failed}

    @contextmanager
    def broken(self, mistake: str, remedy: str):
        self.run(mistake)
        try:
            yield
        finally:
            self.run(remedy)


@pytest.fixture(scope="module")
def examined(stack):
    def within(url: str) -> str:
        return urlsplit(url)._replace(path="/examined").geturl()

    with psycopg.connect(stack.admin_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE examined")
    found = Examined(within(stack.admin_url), within(stack.addresses.database_url))
    migrate(found.admin_url, lambda _step: None, folders=["sample"])
    with psycopg.connect(found.admin_url, autocommit=True) as connection:
        put_key(connection, KEY)
        load_sample(connection, "https://issuer.test")
    yield found
    with psycopg.connect(stack.admin_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE examined WITH (FORCE)")


def test_a_fresh_migration_has_no_offender(examined) -> None:
    report = examine(examined.settings())
    assert report.holds, report.failed
    assert report.login == "app_user"
    assert {check.name for check in report.checks} >= set(CHECKS)


MISTAKES = tomllib.loads((Path(__file__).parent / "mistakes.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_found_and_mending_it_is_enough(examined, name) -> None:
    check, found, mistake, remedy = (MISTAKES[name][part] for part in ("check", "object", "mistake", "remedy"))
    assert examined.offenders(check) == []
    with examined.broken(mistake, remedy):
        assert found in examined.offenders(check)
    assert examined.offenders(check) == []


def test_every_check_has_a_mistake_that_it_finds() -> None:
    assert {mistake["check"] for mistake in MISTAKES.values()} == set(CHECKS)


def _body(returned: str) -> str:
    """Replace the function that verifies the context by one that does not."""
    return (
        "CREATE OR REPLACE FUNCTION tenancy.verified_context() RETURNS text[] LANGUAGE plpgsql STABLE SECURITY DEFINER"
        f" SET search_path = pg_catalog, pg_temp AS $$ BEGIN {returned} END $$"
    )


BELIEVED = "RETURN ARRAY[split_part(current_setting('tenancy.context', true), '|', 3), '', '', ''];"
LIVE = {
    "whatever it says is believed": (_body(BELIEVED), {"forged_context", "replayed_context", "expired_context"}),
    "a bare name is believed": (
        _body("RETURN ARRAY[coalesce(current_setting('tenancy.context', true), ''), '', '', ''];"),
        {"genuine_context", "plain_setting", "no_context"},
    ),
    "nobody is believed": (
        _body("RAISE EXCEPTION 'the tenant context is not valid' USING ERRCODE = 'insufficient_privilege';"),
        {"genuine_context", "no_context"},
    ),
    "another refusal than the constant one": (_body("RAISE EXCEPTION 'no such key';"), {"forged_context"}),
}


@pytest.mark.parametrize(("mistake", "proofs"), LIVE.values(), ids=LIVE.keys())
def test_live_proofs_find_a_function_that_does_not_verify(examined, mistake, proofs) -> None:
    with examined.broken(mistake, examined.definition()):
        assert proofs <= examined.failed().keys()
    assert examined.failed() == {}


WEAKENED = {
    "replayed_context": ("part[7] = encode(sha256(convert_to(current_query(), 'UTF8')), 'hex')", "true"),
    "expired_context": ("to_timestamp(part[6]::bigint)", "to_timestamp(part[6]::bigint + 86400)"),
}


@pytest.mark.parametrize("proof", WEAKENED)
def test_each_condition_of_the_context_has_a_proof_of_its_own(examined, proof) -> None:
    genuine = examined.definition()
    condition, weaker = WEAKENED[proof]
    assert condition in genuine
    with examined.broken(genuine.replace(condition, weaker), genuine):
        assert examined.failed().keys() == {proof}


def test_rows_seen_past_the_policies_are_found_live_too(examined) -> None:
    view = "CREATE VIEW app.everything AS TABLE app.claims; GRANT SELECT ON app.everything TO app_user"
    with examined.broken(view, "DROP VIEW app.everything"):
        assert {"0018_definer_views", "no_context", "foreign_rows"} <= examined.failed().keys()


def test_a_key_that_the_database_does_not_know_is_named(examined) -> None:
    stranger = new_context_key("k9").text()
    report = examine(examined.settings(stranger))
    (offender,) = [one for check in report.failed for one in check.offenders]
    assert offender.object == "database.context_keys: k9"
    assert "does not know the key" in offender.problem
    # The first signs; one that was retired may stay behind it for a while.
    assert examined.failed(KEY.text(), stranger) == {}


def test_a_database_that_was_never_migrated_fails_every_proof(stack) -> None:
    with psycopg.connect(stack.admin_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE bare")
    try:
        url = urlsplit(stack.addresses.database_url)._replace(path="/bare").geturl()
        settings = DatabaseSettings.model_validate({"url": url, "context_keys": [KEY.text()]})
        failed = {check.name for check in examine(settings).failed}
        assert {"0005_temporary_objects", "0031_what_the_server_reads", "genuine_context"} <= failed
    finally:
        with psycopg.connect(stack.admin_url, autocommit=True) as connection:
            connection.execute("DROP DATABASE bare WITH (FORCE)")


def test_an_error_names_the_setting_that_is_missing(examined) -> None:
    with pytest.raises(SettingsError, match=r"database\.context_keys"):
        examine(DatabaseSettings.model_validate({"url": examined.url}))
    with pytest.raises(SettingsError, match=r"database\.url"):
        examine(DatabaseSettings.model_validate({"context_keys": [KEY.text()]}))


def test_nothing_starts_on_a_database_that_does_not_isolate_and_the_reason_is_told(examined) -> None:
    assert require_isolation(examined.settings()) is not None
    with (
        examined.broken("ALTER ROLE app_user BYPASSRLS", "ALTER ROLE app_user NOBYPASSRLS"),
        pytest.raises(StartupError, match=r"0001_login_attributes: app_user has BYPASSRLS.*tenantgate doctor"),
    ):
        require_isolation(examined.settings())


def test_an_unreachable_database_is_an_outage_and_no_finding(examined) -> None:
    away = DatabaseSettings.model_validate({"url": "postgresql://app_user@127.0.0.1:9/x", "context_keys": [KEY.text()]})
    with pytest.raises(UnreachableError, match="cannot be reached"):
        examine(away)
    assert require_isolation(away) is None


@pytest.fixture
def tenantgate(examined, tmp_path):
    """Run one verb with the settings of the examined database."""
    config = tmp_path / "tenantgate.toml"
    config.write_text(
        'resource_url = "http://127.0.0.1:1/mcp"\n[[issuers]]\nissuer = "http://127.0.0.1:1"\naudiences = ["x"]\n'
        f'[database]\nurl = "{examined.url}"\ncontext_keys = ["{KEY.text()}"]\n'
    )

    def run(*arguments: str, url: str = examined.url) -> subprocess.CompletedProcess[str]:
        config.write_text(config.read_text().replace(examined.url, url))
        command = [sys.executable, "-m", "server", *arguments, "--config", str(config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    return run


def test_the_verb_prints_a_table_or_json_and_its_exit_code_says_whether_all_holds(examined, tenantgate) -> None:
    content = tenantgate("doctor")
    assert (content.returncode, content.stderr) == (0, "")
    assert "0010_tenant_floor" in content.stdout
    assert "Every check holds" in content.stdout
    with examined.broken("ALTER ROLE app_user CREATEDB", "ALTER ROLE app_user NOCREATEDB"):
        failing = tenantgate("doctor", "--json")
        refused = tenantgate("serve")
    assert failing.returncode == 1
    told = json.loads(failing.stdout)
    assert told["ok"] is False
    assert [one for check in told["checks"] for one in check["offenders"]] == [
        {"object": "app_user", "problem": "has CREATEDB", "remedy": "ALTER ROLE app_user NOCREATEDB"}
    ]
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "0001_login_attributes: app_user has CREATEDB" in refused.stderr


def test_the_verb_says_in_one_line_that_the_database_is_away(tenantgate) -> None:
    away = tenantgate("doctor", url="postgresql://app_user@127.0.0.1:9/x")
    assert (away.returncode, away.stdout) == (1, "")
    assert away.stderr.startswith("tenantgate: the database cannot be reached")
    assert away.stderr.count("\n") == 1


def test_pgrls_finds_nothing_that_the_documentation_does_not_answer(examined) -> None:
    """A second opinion, by a linter that knows nothing of this project."""
    text = (Path(__file__).parents[1] / "docs" / "database.md").read_text(encoding="utf-8")
    answered = set(re.findall(r"^\| ([A-Z]+\d+) \| `([\w.]+)` \| \S", text, re.MULTILINE))
    command = [str(Path(sys.executable).parent / "pgrls"), "lint", "--schemas", "app,tenancy", "--format", "json"]
    linted = subprocess.run(
        [*command, "--database-url", examined.admin_url], capture_output=True, text=True, timeout=60, check=False
    )
    found = {(one["rule_id"], one["location"]) for one in json.loads(linted.stdout)["violations"]}
    assert found == answered


def test_a_table_of_other_applications_joins_by_policies_for_the_login_alone(examined) -> None:
    """As the documentation has it: its owner, its writers and its keys stay as they are."""
    text = (Path(__file__).parents[1] / "docs" / "database.md").read_text(encoding="utf-8")
    block = re.findall(r"```sql\n(.*?)```", text, re.DOTALL)[0]
    before = (
        "CREATE ROLE billing_owner; CREATE ROLE billing_writer; CREATE SCHEMA billing AUTHORIZATION billing_owner;"
        "CREATE TABLE billing.payments (id bigserial PRIMARY KEY, tenant_id varchar(63) NOT NULL, euro int);"
        "ALTER TABLE billing.payments OWNER TO billing_owner; GRANT USAGE ON SCHEMA billing TO billing_writer;"
        "GRANT SELECT, INSERT ON billing.payments TO billing_writer;"
        "GRANT USAGE ON SEQUENCE billing.payments_id_seq TO billing_writer"
    )
    with examined.broken(before, "DROP SCHEMA billing CASCADE; DROP ROLE billing_owner; DROP ROLE billing_writer"):
        for statement in filter(str.strip, block.split(";")):
            examined.run(statement)
        for role in ("billing_owner", "billing_writer"):
            examined.run(
                f"SET ROLE {role};"
                "INSERT INTO billing.payments (tenant_id, euro) VALUES ('broker-a', 1), ('broker-b', 2)"
            )
        assert examined.failed() == {}
        with psycopg.connect(examined.url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
            statement = Statement("paid", "SELECT euro FROM billing.payments WHERE euro > $1::int", dict[str, int])
            sign = partial(KEY.sign, person=("x", "y"), tier="", expiry_s=4_000_000_000, digest=statement.digest)
            for tenant, euro in (("broker-a", 1), ("broker-b", 2), ("broker-c", None)):
                row = connection.execute(statement.sent, (0, sign(tenant=tenant))).fetchall()[0]
                assert statement.read(row[1]) == [{"euro": euro}] * (2 if euro else 0)


@pytest.mark.parametrize("column", ["text", "varchar(63)", 'text COLLATE "C"', "uuid", "bigint"])
def test_a_floor_is_recognised_whatever_the_type_of_the_tenant_column(examined, column) -> None:
    cast = f"::{column}" if column in {"uuid", "bigint"} else ""
    own = f"USING (tenant_id = (SELECT tenancy.current_tenant()){cast})"
    table = (
        f"CREATE TABLE app.notes (tenant_id {column} PRIMARY KEY); ALTER TABLE app.notes ENABLE ROW LEVEL SECURITY;"
        f"CREATE POLICY floor ON app.notes AS RESTRICTIVE TO app_user {own};"
        f"CREATE POLICY reads ON app.notes FOR SELECT TO app_user {own}; GRANT SELECT ON app.notes TO app_user"
    )
    with examined.broken(table, "DROP TABLE app.notes"):
        assert examined.failed() == {}
