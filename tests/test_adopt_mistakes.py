"""Each mistake is one line that names the cause and the remedy, and changes nothing."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from adoption.place import Place, place_for

from server.__main__ import main
from server.administration import steps
from server.dev.stack import Stack
from server.errors import StartupError

TEXT = """
CREATE SCHEMA app;
CREATE TABLE app.accounts (id text PRIMARY KEY, name text);
CREATE TABLE app.orders (id int PRIMARY KEY, account_id text NOT NULL REFERENCES app.accounts, note text);
CREATE VIEW app.notes AS SELECT id, note FROM app.orders;
"""
ROLES = ("mistaken LOGIN PASSWORD 'of-a-test'", "app_owner_of_tables NOLOGIN")


@pytest.fixture(scope="module")
def place(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    output = tmp_path_factory.mktemp("mistakes") / "adopted"
    with place_for(stack.admin_url, "mistakes", output, TEXT, roles=ROLES) as place:
        yield place


@pytest.fixture
def run(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Return a function: options of the command, to its exit code and what it says on standard error."""
    for name in [name for name in os.environ if name.startswith("TENANTGATE_")]:
        monkeypatch.delenv(name)

    def command(*options: str, output: Path = place.output, admin_url: str = place.url) -> tuple[int, str]:
        monkeypatch.setenv("TENANTGATE_DATABASE__LOGIN", place.login)
        monkeypatch.setenv("TENANTGATE_DATABASE__ADMIN_URL", admin_url)
        monkeypatch.setattr(sys, "argv", ["tenantgate", "adopt", *options, "--output", str(output)])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(ended.value.code or 0), capsys.readouterr().err.strip()

    return command


MISTAKES = {
    "no such column": (
        ["--tenant-column", "acount_id"],
        "--tenant-column: no table of this database has a column acount_id; there is account_id",
    ),
    "no such column of a table": (
        ["--tenant-column", "account_id", "--tenant-column", "nobody:app.orders"],
        "--tenant-column: app.orders has no column nobody; correct its name",
    ),
    "no such table": (
        ["--tenant-column", "account_id", "--table", "app.order"],
        "--table: there is no table app.order; there is app.orders and app.notes",
    ),
    "no such schema": (
        ["--tenant-column", "account_id", "--schema", "appp"],
        "--schema: there is no schema appp with a table; there is app",
    ),
    "a table without its schema": (
        ["--tenant-column", "account_id", "--shared", "orders"],
        "--shared 'orders': a table is written SCHEMA.TABLE, such as public.orders",
    ),
    "a tenant and shared": (
        ["--tenant-column", "account_id:app.orders", "--shared", "app.orders"],
        "app.orders is named by --tenant-column and by --shared; keep one of the two",
    ),
    "two columns of one table": (
        ["--tenant-column", "id:app.orders", "--tenant-column", "note:app.orders"],
        "--tenant-column names two columns of app.orders; keep one of them",
    ),
    "a view": (
        ["--tenant-column", "account_id", "--shared", "app.notes"],
        "app.notes is a view or a foreign table, for which adopt makes no policy; leave it out",
    ),
    "nothing decided": (
        ["--tenant-column", "note:app.orders", "--table", "app.accounts"],
        (
            "no table can be adopted; the first of 1 reasons: app.accounts: no foreign key leads from it to "
            "a table with a tenant"
        ),
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_option_is_named_with_its_remedy(place, run, mistake) -> None:
    options, message = MISTAKES[mistake]
    code, said = run(*options)
    assert (code, said) == (2, f"tenantgate: {message}")
    assert not place.output.exists()


def test_without_an_administrator_the_missing_setting_is_named(place, run) -> None:
    code, said = run("--tenant-column", "account_id", admin_url="")
    assert code == 2
    assert said == (
        "tenantgate: database.admin_url: is missing; set it in the settings file or as TENANTGATE_DATABASE__ADMIN_URL"
    )


def test_a_database_that_does_not_answer_is_named(place, run) -> None:
    code, said = run(
        "--tenant-column",
        "account_id",
        admin_url="postgresql://x@127.0.0.1:1/x",
    )
    assert code == 1
    assert said.startswith("tenantgate: the database cannot be reached (")
    assert said.endswith("check database.admin_url")
    assert "\n" not in said


def test_a_login_without_rights_on_the_tables_is_refused(place, run) -> None:
    url = place.url.replace("//" + place.url.split("//")[1].split("@")[0], "//mistaken:of-a-test")
    code, said = run("--tenant-column", "account_id", admin_url=url)
    assert code == 1
    assert said.startswith(
        "tenantgate: database.admin_url logs in as mistaken, which is neither a superuser nor a member of"
    )
    assert "run GRANT" in said
    assert not place.output.exists()


def test_a_member_of_the_tables_owner_is_enough(place, run) -> None:
    url = place.url.replace("//" + place.url.split("//")[1].split("@")[0], "//mistaken:of-a-test")
    place.admin.execute(
        "GRANT app_owner_of_tables TO mistaken; ALTER TABLE app.orders OWNER TO app_owner_of_tables;"
        "ALTER TABLE app.accounts OWNER TO app_owner_of_tables; GRANT USAGE ON SCHEMA app TO mistaken"
    )
    output = place.output.with_name("other")
    assert run("--tenant-column", "account_id", output=output, admin_url=url) == (0, "")


def test_names_that_the_application_uses_are_refused(place, run) -> None:
    place.admin.execute("CREATE SCHEMA tenancy")
    try:
        code, said = run("--tenant-column", "account_id")
    finally:
        place.admin.execute("DROP SCHEMA tenancy")
    assert code == 1
    assert said.startswith("tenantgate: nothing was changed: the schema tenancy exists and is not tenantgate's: rename")
    assert not place.output.exists()


def test_an_output_that_is_a_file_is_refused(place, tmp_path, run) -> None:
    file = tmp_path / "x"
    file.touch()
    assert run("--tenant-column", "account_id", output=file) == (
        2,
        f"tenantgate: --output: {file} is not a folder; name another one",
    )


def test_adopt_itself_changes_nothing_in_the_database(place, tmp_path, run) -> None:
    query = """SELECT (SELECT count(*) FROM pg_policy),
               (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_roles),
               (SELECT array_agg(relacl::text ORDER BY oid) FROM pg_class WHERE relname IN ('orders', 'accounts')),
               (SELECT count(*) FROM pg_namespace)"""
    before = place.admin.execute(query).fetchall()
    code, _ = run("--tenant-column", "account_id", "--prove", output=tmp_path / "adopted")
    assert code == 0
    assert place.admin.execute(query).fetchall() == before


def test_a_half_adopted_database_is_completed(place, tmp_path, monkeypatch) -> None:
    """The first migration stops at the second table, which another session uses."""
    monkeypatch.setattr(steps, "_TRIES", 3)
    with place_for(place.url, "half", tmp_path / "adopted", TEXT) as half:
        half.adopt("account_id")
        with psycopg.connect(half.url) as other:
            other.execute("LOCK TABLE app.orders IN ACCESS SHARE MODE")
            with pytest.raises(StartupError, match=r"\(app\.orders\) of the migration 0001_app\.sql could not lock"):
                half.migrate()
        assert half.count("SELECT count(*) FROM pg_policy WHERE polrelid = 'app.accounts'::regclass") == 2
        assert half.count("SELECT count(*) FROM pg_policy WHERE polrelid = 'app.orders'::regclass") == 0
        # Both the migration and `adopt` go on from here.
        assert [change.kind for change in half.adopt("account_id").changes] == ["different"]
        half.migrate()
        half.register(["acme"])
        assert half.doctor() == []
