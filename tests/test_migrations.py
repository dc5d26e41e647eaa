"""Migrations need core PostgreSQL 14 and no superuser; they are all or nothing, and the same twice."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from support.second_server import MISSING, PROGRAMS, second_server

import sql as sql_package
from server.administration import migrations
from server.administration.key_table import put_key
from server.administration.migrations import migrate
from server.catalog.loading import load_catalog
from server.database.context_keys import new_context_key
from server.dev.sample import load_sample
from server.doctor.examination import examine
from server.errors import SettingsError, StartupError, UnreachableError
from server.settings import Settings

NAMES = [file.name for file in sql_package.sql_files("migrations")]
KEY = new_context_key("k1")


def url_of(base: str, database: str, user: str | None = None) -> str:
    parts = urlsplit(base)
    host = f"{user}:of-a-test@{parts.hostname}:{parts.port}" if user else parts.netloc
    return parts._replace(netloc=host, path=f"/{database}").geturl()


def run(url: str, *texts: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        for text in texts[:-1]:
            connection.execute(text.encode())
        cursor = connection.execute(texts[-1].encode())
        return cursor.fetchall() if cursor.description else []


@contextmanager
def database(superuser_url: str, name: str, owner: str = "postgres"):
    run(superuser_url, f"CREATE DATABASE {name} OWNER {owner}")
    try:
        yield url_of(superuser_url, name)
    finally:
        run(superuser_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if PROGRAMS is None:
        pytest.skip(MISSING)
    with second_server(tmp_path_factory.mktemp("second") / "postgres") as url:
        yield url


def test_a_second_run_changes_nothing(stack) -> None:
    with database(stack.admin_url, "twice") as url:
        told: list[str] = []
        migrate(url, told.append)
        assert told == [f"applied {name}" for name in NAMES]
        before = run(url, "SELECT name, sha256, applied_at FROM tenantgate.migrations ORDER BY 1")
        told.clear()
        migrate(url, told.append)
        assert told == [f"already there: {name}" for name in NAMES]
        assert run(url, "SELECT name, sha256, applied_at FROM tenantgate.migrations ORDER BY 1") == before


def test_a_database_newer_than_the_code_is_refused(stack) -> None:
    with database(stack.admin_url, "newer") as url:
        migrate(url, lambda _step: None)
        run(url, "INSERT INTO tenantgate.migrations (name, sha256) VALUES ('9999_later.sql', 'x')")
        with pytest.raises(StartupError, match=r"9999_later\.sql, which this version does not have"):
            migrate(url, lambda _step: None)


def test_a_migration_that_was_changed_afterwards_is_refused(stack) -> None:
    with database(stack.admin_url, "changed") as url:
        migrate(url, lambda _step: None)
        run(url, f"UPDATE tenantgate.migrations SET sha256 = 'x' WHERE name = '{NAMES[0]}'")
        with pytest.raises(StartupError, match=f"{NAMES[0]} was changed after it was applied"):
            migrate(url, lambda _step: None)


@pytest.fixture
def failing_migration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Put a migration at the end that fails halfway."""
    added = tmp_path / "9000_fails.sql"
    added.write_text("CREATE TABLE public.half (x int);\nSELECT no_such_function();")

    def sql_files(folder: str) -> list[Any]:
        return [*sql_package.sql_files(folder), added]

    monkeypatch.setattr(migrations, "sql_files", sql_files)


@pytest.mark.usefixtures("failing_migration")
def test_a_migration_that_fails_leaves_nothing_behind_and_those_before_it_stay(stack) -> None:
    with database(stack.admin_url, "failing") as url:
        with pytest.raises(
            StartupError, match=r"9000_fails\.sql failed and was rolled back: function no_such_function"
        ):
            migrate(url, lambda _step: None)
        assert run(url, "SELECT to_regclass('public.half'), to_regclass('tenancy.tenants') IS NOT NULL") == [
            (None, True)
        ]
        assert [name for (name,) in run(url, "SELECT name FROM tenantgate.migrations ORDER BY 1")] == NAMES


def test_errors_name_what_to_do(stack) -> None:
    with pytest.raises(SettingsError, match="TENANTGATE_DATABASE__ADMIN_URL"):
        migrate("", lambda _step: None)
    with pytest.raises(UnreachableError, match=r"cannot be reached.*database\.admin_url"):
        migrate("postgresql://x@127.0.0.1:9/x", lambda _step: None)
    with pytest.raises(StartupError, match=r"the database refused the command: .*check the rights"):
        migrate(stack.addresses.database_url, lambda _step: None)


def isolates(superuser_url: str, admin_url: str) -> None:
    """Assert that the doctor is content, and that the administrator can load and sees all rows."""
    run(superuser_url, "ALTER ROLE app_user PASSWORD 'of-a-test'")
    with psycopg.connect(admin_url, autocommit=True) as connection:
        put_key(connection, KEY)
        load_sample(connection, "https://issuer.test")
        assert connection.execute("SELECT count(*) FROM app.claims").fetchall() == [(5,)]
    login = url_of(admin_url, urlsplit(admin_url).path[1:], "app_user")
    settings = Settings.model_validate({"database": {"url": login, "context_keys": [KEY.text()]}})
    report = examine(settings, load_catalog(["sample"]))
    assert report.holds, report.failed


def as_administrator(superuser_url: str) -> None:
    """Migrate as a role that may make roles and owns the database, which is what Aurora and RDS give."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        # Roles that a superuser made are not the administrator's to manage; on a cluster of one's own they are.
        for role in ("app_user", "app_owner", "tenancy_owner"):
            if connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (role,)).fetchone():
                connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
        connection.execute("CREATE ROLE administrator LOGIN CREATEROLE CREATEDB PASSWORD 'of-a-test'")
    with database(superuser_url, "managed", "administrator"):
        admin_url = url_of(superuser_url, "managed", "administrator")
        if int(run(superuser_url, "SHOW server_version_num")[0][0]) < 150000:
            run(url_of(superuser_url, "managed"), "ALTER SCHEMA public OWNER TO administrator")
        migrate(admin_url, lambda _step: None, folders=["sample"])
        migrate(admin_url, lambda _step: None, folders=["sample"])
        isolates(superuser_url, admin_url)


def test_an_administrator_without_superuser_rights_is_enough_on_postgresql_18(tmp_path) -> None:
    from server.dev.postgres.launcher import EmbeddedPostgres

    server = EmbeddedPostgres(tmp_path / "postgres")
    try:
        server.start()
        as_administrator(server.admin_url)
    finally:
        server.remove()


def test_an_administrator_without_superuser_rights_is_enough_on_an_older_server(second) -> None:
    as_administrator(second)


def test_a_superuser_migrates_an_older_server_twice_and_a_second_database_of_it(second) -> None:
    for name in ("first_one", "second_one"):
        with database(second, name) as url:
            migrate(url, lambda _step: None, folders=["sample"])
            migrate(url, lambda _step: None, folders=["sample"])
            isolates(second, url)


def test_other_applications_keep_what_everybody_could_do(second) -> None:
    """What is revoked from PUBLIC stays with the logins that are there, and large objects where they are in use."""
    run(second, "CREATE ROLE other LOGIN PASSWORD 'of-a-test'")
    with database(second, "shared") as url:
        run(url, "SELECT lo_create(1)")
        migrate(url, lambda _step: None)
        other = url_of(second, "shared", "other")
        run(other, "CREATE TEMPORARY TABLE mine (x int)")
        run(other, "BEGIN", "SELECT lo_create(0)", "ROLLBACK")
        run(second, "ALTER ROLE app_user PASSWORD 'of-a-test'")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            run(
                url_of(second, "shared", "app_user"),
                "SET default_transaction_read_only = off",
                "CREATE TEMP TABLE x (y int)",
            )


def test_large_objects_that_nobody_uses_are_out_of_reach(login) -> None:
    login.execute("SET default_transaction_read_only = off")
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="lo_create"):
        login.execute("SELECT lo_create(0)")


def test_migrate_runs_as_a_verb(stack, tmp_path) -> None:
    import subprocess

    config = tmp_path / "tenantgate.toml"
    config.touch(mode=0o600)
    config.write_text(
        'resource_url = "http://127.0.0.1:1/mcp"\n[[issuers]]\nissuer = "http://127.0.0.1:1"\naudiences = ["x"]\n'
        f'[database]\nadmin_url = "{stack.admin_url}"\n'
    )
    command = [sys.executable, "-m", "server", "migrate", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "".join(f"already there: {name}\n" for name in NAMES)
