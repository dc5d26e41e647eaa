"""Databases with settings and privileges of their own: checks hold all the same, or say in one line what is missing."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from support.examined_database import CATALOG, KEY, Examined
from support.examined_database import examined as examined  # noqa: PLC0414  # a fixture

# What the login's own settings answer is taken from it, so that the database's defaults reach it. The server's sessions
# set what decides the form of answers themselves.
DEFAULTS = {
    "standard_conforming_strings": "off",
    "quote_all_identifiers": "on",
    "search_path": "public, app, desk",
    "DateStyle": "SQL, DMY",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "enable_indexscan": "off",
    "backslash_quote": "off",
    "bytea_output": "escape",
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_case_04_defaults_of_the_database_change_no_verdict(examined, name) -> None:
    value = DEFAULTS[name]
    before = f"ALTER ROLE app_user RESET {name}; ALTER DATABASE examined SET {name} = {value}"
    with psycopg.connect(examined.admin_url) as connection:
        query = "SELECT coalesce((SELECT option_value FROM pg_roles, pg_options_to_table(rolconfig) "
        query += "WHERE rolname = 'app_user' AND option_name = %s), '')"
        own = connection.execute(query.encode(), (name,)).fetchall()[0][0]
    restored = f"ALTER DATABASE examined RESET {name};" + (f"ALTER ROLE app_user SET {name} = '{own}'" if own else "")
    with examined.broken(before, restored):
        assert examined.offenders() == {}


HARDENED = {
    "pg_roles": ("SELECT ON pg_catalog.pg_roles", "permission denied for view pg_roles", "catalogue"),
    "pg_proc": ("SELECT ON pg_catalog.pg_proc", "permission denied for table pg_proc", "0012_context_functions"),
    "pg_class": ("SELECT ON pg_catalog.pg_class", "permission denied for table pg_class", "catalogue"),
    "pg_attribute": ("SELECT ON pg_catalog.pg_attribute", "permission denied for table pg_attribute", "catalogue"),
    "pg_settings": (
        "SELECT ON pg_catalog.pg_settings",
        "permission denied for view pg_settings",
        "0018_session_defaults",
    ),
    "pg_get_expr": (
        "EXECUTE ON FUNCTION pg_catalog.pg_get_expr(pg_node_tree, oid)",
        "permission denied for function pg_get_expr",
        "catalogue",
    ),
    "aclexplode": (
        "EXECUTE ON FUNCTION pg_catalog.aclexplode(aclitem[])",
        "permission denied for function aclexplode",
        "catalogue",
    ),
}


@pytest.mark.parametrize("name", HARDENED)
def test_a_check_that_cannot_run_is_a_finding_in_the_databases_own_words(examined, name) -> None:
    what, words, check = HARDENED[name]
    with examined.broken(f"REVOKE {what} FROM PUBLIC", f"GRANT {what} TO PUBLIC"):
        report = examined.report()
    found = {one.name: one for one in report.failed}
    (offender,) = found[check].offenders
    assert offender.object == check
    assert offender.problem == f"this check cannot run: {words}"
    assert offender.remedy.startswith("let app_user ")
    assert examined.offenders() == {}


@pytest.fixture
def tenantgate(examined: Examined, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    config = tmp_path / "tenantgate.toml"
    config.touch(mode=0o600)
    config.write_text(
        f'resource_url = "http://127.0.0.1:1/mcp"\ncatalog = {json.dumps(CATALOG)}\n'
        '[[issuers]]\nissuer = "http://127.0.0.1:1"\naudiences = ["x"]\n'
        f'[database]\nurl = "{examined.url}"\nadmin_url = "{examined.admin_url}"\ncontext_keys = ["{KEY.text()}"]\n'
    )

    def run(verb: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "server", verb, "--config", str(config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    return run


def test_neither_doctor_nor_serve_ends_with_a_traceback(examined, tenantgate) -> None:
    what, words, _ = HARDENED["pg_roles"]
    with examined.broken(f"REVOKE {what} FROM PUBLIC", f"GRANT {what} TO PUBLIC"):
        doctor, serve = tenantgate("doctor"), tenantgate("serve")
    assert (doctor.returncode, serve.returncode) == (1, 1)
    assert words in doctor.stdout
    assert words in serve.stderr
    assert doctor.stderr.count("\n") == serve.stderr.count("\n") == 1
    assert "Traceback" not in doctor.stdout + doctor.stderr + serve.stderr


def test_migrate_names_the_roles_that_lose_rows(examined, tenantgate) -> None:
    grant = "GRANT USAGE ON SCHEMA desk TO desk_reports; GRANT SELECT ON desk.notes TO desk_reports"
    assert "desk_" not in tenantgate("migrate").stdout
    with examined.broken(f"CREATE ROLE desk_reports; {grant}", "DROP OWNED BY desk_reports; DROP ROLE desk_reports"):
        migrated = tenantgate("migrate")
    assert migrated.returncode == 0, migrated.stderr
    assert "desk_reports sees no row of desk.notes: no policy of the table is for it" in migrated.stdout
