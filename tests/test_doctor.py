"""The doctor finds each mistake that would end isolation, and nothing serves before every check holds (R79 to R89)."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from support.examined_database import CATALOG, KEY, Examined, database_of_its_own
from support.examined_database import examined as examined  # noqa: PLC0414  # a fixture

from server.catalog.loading import load_catalog
from server.doctor.contexts import CONTEXT_PROOFS
from server.doctor.examination import examine
from server.doctor.proof import require_isolation
from server.errors import SettingsError, StartupError, UnreachableError
from server.settings import Settings
from sql import sql_files

CHECKS = {file.name.removesuffix(".sql") for file in sql_files("checks")}
MISTAKES = tomllib.loads((Path(__file__).parent / "mistakes.toml").read_text(encoding="utf-8"))


def test_a_protected_database_has_no_offender_and_every_declared_relation_is_proved(examined) -> None:
    report = examined.report()
    assert report.holds, report.failed
    assert report.login == "app_user"
    assert {check.name for check in report.checks} >= CHECKS
    assert report.notices == ()
    assert report.summary == (
        "8 relations proved with 2 real tenants: app.claims (own column tenant_id), desk.tickets (own column tenant), "
        "desk.notes (child of desk.tickets), desk.colours (shared), desk.events (own column tenant), "
        "desk.open_tickets (view, own column tenant), desk.ticket_counts (view, own column tenant), "
        "app.claims_by_day (own column tenant_id)"
    )
    assert set(report.facts) == set(examined.catalog.tables)


@pytest.mark.parametrize("name", MISTAKES)
def test_each_mistake_is_found_and_its_remedy_is_enough(examined, name) -> None:
    check, found, mistake, remedy = (MISTAKES[name][part] for part in ("check", "object", "mistake", "remedy"))
    with examined.broken(mistake, remedy):
        assert found in examined.offenders().get(check, set())
    assert examined.offenders() == {}


def test_every_check_has_a_mistake_that_it_finds(examined) -> None:
    """Those of the context have theirs in test_doctor_contexts.py, the login's and the administrator's beside it.

    That of the encoding has databases of its own, in test_odd_catalogues.py.
    """
    elsewhere = {"login", "0024_encoding"} | {proof.name for proof in CONTEXT_PROOFS} - {"keys_out_of_reach"}
    checks = {check.name for check in examined.report().checks}
    assert {mistake["check"] for mistake in MISTAKES.values()} == checks - elsewhere


def test_a_connection_of_another_login_than_the_setting_says_is_named(examined) -> None:
    (found,) = [check for check in examined.report(login="reader").failed if check.name == "login"]
    assert [(one.object, one.problem) for one in found.offenders] == [
        ("app_user", "database.url logs in as app_user, but database.login is reader")
    ]


def test_a_relation_that_public_may_read_can_be_accepted_by_name_and_is_listed_every_time(examined) -> None:
    public = (
        "CREATE TABLE app.countries (code text); INSERT INTO app.countries VALUES ('de');"
        "GRANT SELECT ON app.countries TO PUBLIC"
    )
    with examined.broken(public, "DROP TABLE app.countries"):
        assert examined.offenders() == {"undeclared_relations": {"app.countries"}}
        report = examined.report(accepted_relations=("app.countries", "app.gone"))
        assert report.holds, report.failed
        assert report.notices == (
            "app.countries is accepted by the settings: PUBLIC may read it, and it shows rows without a tenant context",
            "app.gone is accepted by the settings and is not in reach; remove it from database.accepted_relations",
        )
        assert report.summary.endswith(", app.countries (accepted, not proved)")
        # What was granted to the login itself can be revoked.
        examined.run("GRANT SELECT (code) ON app.countries TO app_user")
        report = examined.report(accepted_relations=("app.countries",))
        (offender,) = [one for check in report.failed for one in check.offenders]
        assert offender.remedy.startswith(
            'REVOKE ALL ON TABLE "app"."countries" FROM PUBLIC, "app_user"; -- or declare'
        )


def test_a_policy_for_the_owner_of_a_view_matters_where_the_view_reads_alone(examined) -> None:
    # desk_views owns a view over the tickets, and none over the notes.
    with examined.broken("CREATE POLICY own ON desk.notes TO desk_views USING (true)", "DROP POLICY own ON desk.notes"):
        assert examined.offenders() == {}
    with examined.broken(
        "CREATE POLICY own ON desk.tickets TO desk_views USING (true)", "DROP POLICY own ON desk.tickets"
    ):
        (check,) = examined.report().failed
        assert check.offenders[0].problem.startswith("its policy own, for desk_views, is for desk_views too and shows")


def test_a_statement_that_cannot_be_run_is_named_with_the_column_that_is_not_granted(examined, tmp_path) -> None:
    declared = (
        '[[tool]]\nname = "{}"\ndescription = "d"\nscope = "desk:read"\nsql = "{}"\ncolumns.title = {{ type = "{}" }}\n'
    )
    statements = {
        "secrets": ("SELECT secret AS title FROM desk.tickets", "text", "declare desk.tickets.secret, or remove it"),
        "whole": ("SELECT t.*::text AS title FROM desk.tickets t", "text", "name columns of desk.tickets that are"),
        "outside": ("SELECT kid AS title FROM tenancy.keys", "text", "declare the table keys, or remove it"),
        "missing": ("SELECT status FROM desk.tickets", "text", "correct the sql or the columns of the tool missing"),
        "twice": ("SELECT title, status AS title FROM desk.tickets", "text", "correct the sql or the columns"),
        "typed": ("SELECT array[1] AS title", "uuid", "correct the sql or the columns"),
    }
    file = tmp_path / "tools.toml"
    file.write_text("\n".join(declared.format(name, text, kind) for name, (text, kind, _) in statements.items()))
    report = examine(examined.settings(), load_catalog([*CATALOG, str(file)]))
    (check,) = report.failed
    assert check.name == "sql_tools"
    assert [one.object for one in check.offenders] == [f"tool {name}" for name in statements]
    for offender, (_, _, remedy) in zip(check.offenders, statements.values(), strict=True):
        assert offender.remedy.startswith(remedy)
    assert "permission denied for table tickets" in check.offenders[0].problem


def test_a_database_that_was_never_migrated_fails_every_proof(stack) -> None:
    with database_of_its_own(stack.admin_url, stack.addresses.database_url, "bare") as bare:
        failed = set(bare.offenders())
    assert {"0005_temporary_objects", "0009_what_the_server_reads", "declared_relations", "genuine_context"} <= failed


def test_an_error_names_the_setting_that_is_missing(examined) -> None:
    def without(name: str) -> Settings:
        database = examined.settings().database.model_dump() | {name: ()}
        if name != "context_keys":
            database[name] = ""
        return Settings.model_validate({"database": database})

    for name, admin in (("context_keys", False), ("url", False), ("admin_url", True)):
        with pytest.raises(SettingsError, match=rf"database\.{name} is (empty|missing)"):
            examine(without(name), examined.catalog, admin=admin)


def test_nothing_starts_on_a_database_that_does_not_isolate_and_the_reason_is_named(examined) -> None:
    assert require_isolation(examined.settings(), examined.catalog) is not None
    with (
        examined.broken("ALTER ROLE app_user CREATEDB", "ALTER ROLE app_user NOCREATEDB"),
        pytest.raises(StartupError, match=r"app_user: has CREATEDB; remedy: ALTER ROLE app_user NOCREATEDB.*doctor"),
    ):
        require_isolation(examined.settings(), examined.catalog)


def test_an_unreachable_database_is_an_outage_and_not_a_finding(examined) -> None:
    away = examined.settings(url="postgresql://app_user@127.0.0.1:9/x")
    with pytest.raises(UnreachableError, match="cannot be reached"):
        examine(away, examined.catalog)
    assert require_isolation(away, examined.catalog) is None


def test_a_connection_text_that_the_driver_does_not_understand_is_one_line(examined) -> None:
    with pytest.raises(StartupError, match=r"the database cannot be queried .*check database\.url"):
        examine(examined.settings(url="postgresql://app_user@127.0.0.1/x?nonsense=1"), examined.catalog)


@pytest.fixture
def tenantgate(examined: Examined, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run one verb with the settings of the examined database."""

    def run(*arguments: str, url: str = examined.url, admin: bool = False) -> subprocess.CompletedProcess[str]:
        config = tmp_path / "tenantgate.toml"
        config.touch(mode=0o600)
        config.write_text(
            f'resource_url = "http://127.0.0.1:1/mcp"\ncatalog = {json.dumps(CATALOG)}\n'
            '[[issuers]]\nissuer = "http://127.0.0.1:1"\naudiences = ["x"]\n'
            f'[database]\nurl = "{url}"\ncontext_keys = ["{KEY.text()}"]\n'
            + (f'admin_url = "{examined.admin_url}"\n' if admin else "")
        )
        command = [sys.executable, "-m", "server", *arguments, "--config", str(config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return run


def test_the_verb_prints_its_report_or_json_and_its_exit_code_says_whether_all_holds(examined, tenantgate) -> None:
    content = tenantgate("doctor")
    assert (content.returncode, content.stderr) == (0, "")
    assert "undeclared_relations" in content.stdout
    assert "8 relations proved with 2 real tenants." in content.stdout
    assert "checks passed" in content.stdout
    with examined.broken("ALTER ROLE app_user CREATEDB", "ALTER ROLE app_user NOCREATEDB"):
        failing = tenantgate("doctor", "--json")
        refused = tenantgate("serve")
    assert failing.returncode == 1
    told = json.loads(failing.stdout)
    assert told["ok"] is False
    assert told["notices"] == ["no audit trail is kept: who read what is not recorded; set audit.path"]
    assert told["proved"][0] == {"relation": "app.claims", "how": "own column tenant_id"}
    assert [one for check in told["checks"] for one in check["offenders"]] == [
        {"object": "app_user", "problem": "has CREATEDB", "remedy": "ALTER ROLE app_user NOCREATEDB"}
    ]
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "0001_login_attributes: app_user: has CREATEDB" in refused.stderr


def test_the_administrator_is_asked_where_it_is_configured_and_demanded_by_its_option(tenantgate) -> None:
    counted = tenantgate("doctor", admin=True)
    assert counted.returncode == 0, counted.stderr
    assert "counts" in counted.stdout
    demanded = tenantgate("doctor", "--admin")
    assert (demanded.returncode, demanded.stdout) == (2, "")
    assert "database.admin_url is missing" in demanded.stderr


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
