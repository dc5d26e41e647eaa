"""What the doctor prints is enough: a table that is isolated by nothing is refused, with the SQL that fixes it."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from support.examined_database import KEY, Examined, database_of_its_own

from server.administration.key_table import put_key
from server.administration.migrations import migrate
from server.catalog.loading import load_catalog
from server.dev.stack import Stack
from server.doctor.examination import examine
from server.settings import Settings

# Row level security is on, so that a glance at the table says that all is well.
SUBSCRIPTIONS = """
CREATE TABLE public.subscriptions (id bigint PRIMARY KEY, account_id uuid NOT NULL, plan text, card text);
INSERT INTO public.subscriptions
SELECT n, ('00000000-0000-4000-8000-00000000000' || n % 3)::uuid, 'plan', 'card' FROM generate_series(1, 30) n;
ALTER TABLE public.subscriptions ENABLE ROW LEVEL SECURITY;
CREATE POLICY everybody ON public.subscriptions USING (true);
GRANT SELECT ON public.subscriptions TO app_user
"""
DECLARATION = """
[[table]]
name = "public.subscriptions"
tenant = "account_id"
scope = "subscriptions:read"
list = { tool = "query_subscriptions" }

[table.columns]
plan = { type = "text" }
"""
TENANTS = """
INSERT INTO tenancy.tenants
SELECT '00000000-0000-4000-8000-00000000000' || n, 'Tenant ' || n FROM generate_series(0, 2) n
"""
FLOOR = (
    'CREATE POLICY "tenant_floor" ON "public"."subscriptions" AS RESTRICTIVE FOR ALL TO "app_user" '
    'USING ("subscriptions"."account_id" = (SELECT tenancy.current_tenant())::uuid) '
    'WITH CHECK ("subscriptions"."account_id" = (SELECT tenancy.current_tenant())::uuid);'
)
READS = (
    'CREATE POLICY "tenant_reads" ON "public"."subscriptions" FOR SELECT TO "app_user" '
    'USING ("subscriptions"."account_id" = (SELECT tenancy.current_tenant())::uuid);'
)
SQL = ("CREATE", "ALTER", "DROP", "GRANT", "REVOKE")


@pytest.fixture
def subscribed(
    stack: Stack, tmp_path: Path
) -> Iterator[tuple[Examined, Callable[..., subprocess.CompletedProcess[str]]]]:
    """A database with the table, and a function that runs a verb on it."""
    with database_of_its_own(stack.admin_url, stack.addresses.database_url, "subscribed") as database:
        migrate(database.admin_url, lambda _step: None)
        with psycopg.connect(database.admin_url, autocommit=True) as connection:
            put_key(connection, KEY)
        database.run(TENANTS)
        database.run(SUBSCRIPTIONS)
        (tmp_path / "subscriptions.toml").write_text(DECLARATION)
        config = tmp_path / "tenantgate.toml"
        config.touch(mode=0o600)
        config.write_text(
            'resource_url = "http://127.0.0.1:1/mcp"\ncatalog = ["subscriptions.toml"]\n'
            '[tenancy]\nid_type = "uuid"\n[[issuers]]\nissuer = "http://127.0.0.1:1"\naudiences = ["x"]\n'
            f'[database]\nurl = "{database.url}"\nadmin_url = "{database.admin_url}"\ncontext_keys = ["{KEY.text()}"]\n'
        )

        def run(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "server", *arguments, "--config", str(config)]
            return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

        yield database, run


def test_a_table_with_an_open_policy_is_refused_and_what_is_printed_isolates_it(subscribed) -> None:
    database, run = subscribed
    printed, reported, refused = run("doctor"), run("doctor", "--json"), run("serve")
    assert (printed.returncode, reported.returncode, refused.returncode) == (1, 1, 1)
    for output in (printed.stdout, refused.stderr):
        assert FLOOR in output
        assert READS in output
        assert 'DROP POLICY "everybody" ON "public"."subscriptions";' in output
    assert refused.stderr.count("\n") == 1
    assert "public.subscriptions: has no policy tenant_floor, the restrictive floor" in refused.stderr
    offenders = [one for check in json.loads(reported.stdout)["checks"] for one in check["offenders"]]
    assert {one["object"] for one in offenders} == {"public.subscriptions"}
    remedies = [one["remedy"] for one in offenders if one["remedy"].startswith(SQL)]
    for remedy in remedies:
        database.run(remedy)
    green = run("doctor", "--json")
    assert green.returncode == 0, green.stdout
    report = json.loads(green.stdout)
    assert report["proved"] == [{"relation": "public.subscriptions", "how": "own column account_id"}]
    assert report["tenants"] == 3
    with psycopg.connect(database.url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT card FROM public.subscriptions")


MISTAKES = {
    "a floor for SELECT alone": (
        "DROP POLICY tenant_floor ON public.subscriptions; CREATE POLICY tenant_floor ON public.subscriptions"
        " AS RESTRICTIVE FOR SELECT TO app_user USING (account_id = (SELECT tenancy.current_tenant())::uuid)"
    ),
    "another condition": "ALTER POLICY tenant_reads ON public.subscriptions USING (true)",
    "another role": "ALTER POLICY tenant_floor ON public.subscriptions TO tenancy_owner",
    "row level security off": "ALTER TABLE public.subscriptions DISABLE ROW LEVEL SECURITY",
    "a policy for the login and another": (
        "CREATE POLICY more ON public.subscriptions TO app_user, tenancy_owner USING (plan = 'x')"
    ),
    "a column too many": "GRANT SELECT (card) ON public.subscriptions TO PUBLIC",
    "a column too few": "REVOKE SELECT (plan) ON public.subscriptions FROM app_user",
    "the whole table": "GRANT SELECT ON public.subscriptions TO app_user WITH GRANT OPTION",
    "a write": "GRANT INSERT, UPDATE (plan) ON public.subscriptions TO app_user",
    "no index": "DROP INDEX public.subscriptions_account_id_tenantgate",
    "an undeclared table": 'CREATE TABLE public."A b" (c text); GRANT SELECT (c) ON public."A b" TO app_user, PUBLIC',
    "a sequence": "CREATE SEQUENCE public.numbers; GRANT ALL ON SEQUENCE public.numbers TO PUBLIC",
    "default privileges": "ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO PUBLIC",
    "default privileges of one schema": "ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO app_user",
    "a definer function": "CREATE FUNCTION public.all_plans() RETURNS text LANGUAGE sql SECURITY DEFINER RETURN 'x'",
    "a definer procedure": "CREATE PROCEDURE public.act() LANGUAGE sql SECURITY DEFINER AS ''",
    "a leakproof function": "CREATE FUNCTION public.peek() RETURNS text LANGUAGE sql LEAKPROOF RETURN 'x'",
    "a setting": "ALTER ROLE app_user RESET statement_timeout",
    "temporary tables": "GRANT TEMPORARY ON DATABASE subscribed TO app_user",
    "a schema": "GRANT CREATE ON SCHEMA public TO app_user",
}


def test_each_printed_remedy_is_sql_that_fixes_its_mistake(subscribed, tmp_path) -> None:
    database, _ = subscribed
    catalog = load_catalog([str(tmp_path / "subscriptions.toml")])
    settings = Settings.model_validate(database.settings().model_dump() | {"tenancy": {"id_type": "uuid"}})

    def remedies() -> list[str]:
        offenders = [one for check in examine(settings, catalog).failed for one in check.offenders]
        return [one.remedy for one in offenders if one.remedy.startswith(SQL)]

    def repair(found: list[str]) -> None:
        for remedy in found:
            database.run(remedy)

    repair(remedies())
    assert remedies() == []
    for name, mistake in MISTAKES.items():
        database.run(mistake)
        found = remedies()
        assert found, name
        repair(found)
        assert remedies() == [], name
