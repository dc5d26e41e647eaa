"""`tenantgate tenants`: what an administrator does to the registry, by hand or from a table of their own."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg
import pytest
from support.quiet_runner import QuietRunner

from server.__main__ import cli
from server.administration.migrations import migrate
from server.dev.stack import Stack
from server.errors import SettingsError, StartupError

ISSUER = "https://id.test"
UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
ACCOUNTS: LiteralString = """
CREATE SCHEMA IF NOT EXISTS "my shop";
DROP TABLE IF EXISTS "my shop"."all accounts";
CREATE TABLE "my shop"."all accounts" (id text, "legal ""name" text, closed boolean NOT NULL DEFAULT false);
"""
FROM = ("sync", "--from", "my shop.all accounts", "--key", "id")
NAMED = (*FROM, "--name-column", 'legal "name')


@pytest.fixture(scope="module")
def registry_url(stack: Stack) -> Iterator[str]:
    """A migrated database of its own; the administrator's URL."""
    url = urlsplit(stack.admin_url)._replace(path="/registry").geturl()
    with psycopg.connect(stack.admin_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE registry")
    migrate(url, lambda _step: None)
    yield url
    with psycopg.connect(stack.admin_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE registry WITH (FORCE)")


@pytest.fixture
def owner(registry_url: str) -> Iterator[psycopg.Connection[Any]]:
    """The administrator's connection to a registry without tenants, beside an empty table of accounts."""
    with psycopg.connect(registry_url, autocommit=True) as connection:
        connection.execute("TRUNCATE tenancy.user_tenants, tenancy.tenants")
        connection.execute(ACCOUNTS)
        yield connection


@pytest.fixture
def settings_file(registry_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    config = tmp_path / "tenantgate.toml"
    config.touch(mode=0o600)
    config.write_text(
        f'[[issuers]]\nissuer = "{ISSUER}"\naudiences = ["x"]\n[database]\nadmin_url = "{registry_url}"\n'
    )
    monkeypatch.setenv("TENANTGATE_CONFIG", str(config))
    return config


@pytest.fixture
def tenants(owner: psycopg.Connection[Any], settings_file: Path) -> Callable[..., str]:
    """Run `tenantgate tenants …`; return what it printed."""

    def run(*arguments: str) -> str:
        result = QuietRunner().invoke(cli, ["tenants", *arguments])
        if result.exception is not None:
            raise result.exception
        return result.stdout

    return run


def listed(tenants) -> dict[str, tuple[str, bool, int]]:
    return {one["tenant"]: (one["name"], one["active"], one["people"]) for one in json.loads(tenants("list", "--json"))}


def fill(owner: psycopg.Connection[Any], *accounts: tuple[str | None, str | None]) -> None:
    owner.execute('DELETE FROM "my shop"."all accounts"')
    for account in accounts:
        owner.execute('INSERT INTO "my shop"."all accounts" VALUES (%s, %s)', account)


def test_a_tenant_is_added_renamed_switched_off_and_on_and_each_may_be_repeated(tenants) -> None:
    steps = [
        (("add", "acme"), "acme: added\n"),
        (("add", "acme"), "acme: already there\n"),
        (("add", "acme", "--name", "Acme Inc."), "acme: renamed\n"),
        (("add", "acme", "--name", "Acme Inc."), "acme: already there\n"),
        (("deactivate", "acme"), "acme: not active; its people are refused within 30 s\n"),
        (("deactivate", "acme"), "acme: already not active\n"),
        (("activate", "acme"), "acme: active\n"),
        (("activate", "acme"), "acme: already active\n"),
    ]
    for arguments, told in steps:
        assert tenants(*arguments) == told
    assert listed(tenants) == {"acme": ("Acme Inc.", True, 0)}


def test_a_tenant_that_was_switched_off_is_not_let_in_again_by_adding_it(tenants) -> None:
    tenants("add", "acme")
    tenants("deactivate", "acme")
    with pytest.raises(StartupError, match=r"not active; run `tenantgate tenants activate acme`"):
        tenants("add", "acme", "--name", "Another")
    assert listed(tenants) == {"acme": ("acme", False, 0)}


def test_people_are_mapped_and_unmapped_and_each_may_be_repeated(tenants) -> None:
    tenants("add", "acme")
    tenants("add", "beta")
    assert tenants("map", ISSUER, "auth0|1", "acme") == "auth0|1 is mapped to acme\n"
    assert tenants("map", ISSUER, "auth0|1", "acme") == "auth0|1 is already mapped to acme\n"
    tenants("map", ISSUER, "auth0|1", "beta")
    tenants("map", ISSUER, "auth0|2", "beta")
    assert listed(tenants) == {"acme": ("acme", True, 1), "beta": ("beta", True, 2)}
    told = tenants("unmap", ISSUER, "auth0|1", "beta")
    assert told == "auth0|1 is not mapped to beta any more; they are refused within 30 s\n"
    assert tenants("unmap", ISSUER, "auth0|1", "beta") == "auth0|1 is not mapped to beta\n"
    assert listed(tenants)["beta"] == ("beta", True, 1)


REFUSED = {
    "an unknown tenant is activated": (
        ("activate", "acme"),
        StartupError,
        "the tenant acme does not exist.*tenants add",
    ),
    "an unknown tenant is deactivated": (
        ("deactivate", "acme"),
        StartupError,
        "the tenant acme does not exist.*tenants list",
    ),
    "an unknown tenant gets a person": (("map", ISSUER, "one", "acme"), StartupError, "the tenant acme does not exist"),
    "a malformed id": (("add", "no tenant"), SettingsError, "'no tenant' is not a tenant id.*letters, digits"),
    "a malformed id is mapped": (("map", ISSUER, "one", "*"), SettingsError, "is not a tenant id"),
    "an empty name": (("add", "acme", "--name", " "), SettingsError, "--name must be printable"),
    "a name that moves the cursor": (("add", "acme", "--name", "a\x1b[2J"), SettingsError, "--name must be printable"),
    "an issuer that is not configured": (
        ("map", f"{ISSUER}/", "one", "acme"),
        SettingsError,
        f"{ISSUER}/ is not an issuer of the settings; write one of them: {ISSUER}$",
    ),
    "a subject that no token has": (("map", ISSUER, "one\n", "acme"), SettingsError, "printable ASCII"),
    "an empty subject": (("map", ISSUER, "", "acme"), SettingsError, "1 to 255"),
    "a source without a schema": (("sync", "--from", "accounts", "--key", "id"), SettingsError, "schema.table"),
    "a source of three parts": (("sync", "--from", "a.b.c", "--key", "id"), SettingsError, "schema.table"),
    "a source that is not there": (("sync", "--from", "shop.none", "--key", "id"), StartupError, "shop.none.*--from"),
    "a column that is not there": ((*FROM[:-1], "uid"), StartupError, "uid.*correct --from, --key"),
    "a condition that is not SQL": ((*FROM, "--where", "closed ="), StartupError, "cannot be read: syntax error"),
    "a condition with a second statement": (
        (*FROM, "--where", "true); DROP TABLE tenancy.tenants CASCADE; SELECT (true"),
        StartupError,
        "multiple commands",
    ),
    "an empty source": (FROM, StartupError, "returns no tenant.*--allow-empty"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_mistake_is_one_line_with_its_remedy_and_changes_nothing(tenants, case) -> None:
    arguments, error, words = REFUSED[case]
    before = listed(tenants)
    with pytest.raises(error, match=words) as caught:
        tenants(*arguments)
    assert "\n" not in str(caught.value)
    assert listed(tenants) == before


@pytest.mark.parametrize(
    ("id_type", "written", "canonical", "malformed"),
    [
        ("uuid", UUID.upper(), UUID, "acme"),
        ("uuid", UUID.replace("-", ""), UUID, f"{{{UUID}}}"),
        ("integer", "0042", "42", "9223372036854775808"),
    ],
)
def test_every_command_writes_the_canonical_spelling(tenants, monkeypatch, id_type, written, canonical, malformed):
    monkeypatch.setenv("TENANTGATE_TENANCY__ID_TYPE", id_type)
    assert tenants("add", written) == f"{canonical}: added\n"
    assert "already there" in tenants("add", canonical)
    tenants("map", ISSUER, "one", written)
    assert listed(tenants) == {canonical: (canonical, True, 1)}
    assert tenants("deactivate", written).startswith(canonical)
    assert tenants("activate", written).startswith(canonical)
    tenants("unmap", ISSUER, "one", written)
    assert listed(tenants) == {canonical: (canonical, True, 0)}
    with pytest.raises(SettingsError, match=r"tenancy\.id_type requires"):
        tenants("add", malformed)


def test_the_list_reads_well_in_a_pipe_whatever_the_names_hold(tenants, owner, settings_file) -> None:
    long = "a" * 128
    rows = [(long, "Long [red]", True), ("b", "two\nlines \x1b[31m", False)]
    for row in rows:
        owner.execute("INSERT INTO tenancy.tenants VALUES (%s, %s, %s)", row)
    command = [sys.executable, "-m", "server", "tenants", "list", "--config", str(settings_file)]
    piped = subprocess.run(command, capture_output=True, text=True, check=True)
    assert piped.stderr == ""
    assert piped.stdout.splitlines() == [
        f"{'tenant':128}  state       people  name",
        f"{long}  active      0       Long [red]",
        f"{'b':128}  not active  0       two\ufffdlines \ufffd[31m",
    ]
    assert listed(tenants)["b"] == ("two\nlines \x1b[31m", False, 0)


def test_the_list_names_rows_that_the_server_does_not_read(tenants, owner, monkeypatch, settings_file) -> None:
    owner.execute("INSERT INTO tenancy.tenants VALUES (%s, 'In capitals')", (UUID.upper(),))
    monkeypatch.setenv("TENANTGATE_TENANCY__ID_TYPE", "uuid")
    result = QuietRunner().invoke(cli, ["tenants", "list"])
    assert f"{UUID.upper()} is not the canonical spelling of the type uuid" in result.stderr
    assert UUID.upper() in result.stdout


def test_without_a_registry_the_command_says_that_it_has_no_effect(tenants, monkeypatch) -> None:
    monkeypatch.setenv("TENANTGATE_TENANCY__REGISTRY", "false")
    result = QuietRunner().invoke(cli, ["tenants", "add", "acme"])
    assert (result.exit_code, result.stdout) == (0, "acme: added\n")
    assert "the server does not ask the registry" in result.stderr


def test_a_sync_adds_new_tenants_activates_returned_ones_and_deactivates_vanished_ones(tenants, owner) -> None:
    fill(owner, ("acme", "Acme"), ("beta", None), ("gamma", " "))
    assert tenants(*NAMED) == "3 added, 0 activated, 0 deactivated, 0 renamed, 0 unchanged\n"
    assert listed(tenants) == {"acme": ("Acme", True, 0), "beta": ("beta", True, 0), "gamma": ("gamma", True, 0)}
    tenants("map", ISSUER, "one", "beta")
    fill(owner, ("acme", "Acme Inc."), ("delta", "Delta"))
    assert tenants(*NAMED) == "1 added, 0 activated, 2 deactivated, 1 renamed, 0 unchanged\n"
    assert listed(tenants)["beta"] == ("beta", False, 1), "nothing is deleted, the mappings stay"
    fill(owner, ("acme", "Acme Inc."), ("delta", None), ("beta", "Beta"))
    assert tenants(*NAMED) == "0 added, 1 activated, 0 deactivated, 1 renamed, 2 unchanged\n"
    assert listed(tenants) == {
        "acme": ("Acme Inc.", True, 0),
        "beta": ("Beta", True, 1),
        "delta": ("Delta", True, 0),
        "gamma": ("gamma", False, 0),
    }
    assert tenants(*NAMED) == "0 added, 0 activated, 0 deactivated, 0 renamed, 3 unchanged\n"


def test_without_a_column_of_names_the_names_stay(tenants, owner) -> None:
    tenants("add", "acme", "--name", "Acme Inc.")
    fill(owner, ("acme", "Another"))
    assert tenants(*FROM) == "0 added, 0 activated, 0 deactivated, 0 renamed, 1 unchanged\n"
    assert listed(tenants) == {"acme": ("Acme Inc.", True, 0)}


def test_a_condition_says_which_rows_count(tenants, owner) -> None:
    fill(owner, ("acme", "100%"), ("beta", "{}"), (None, None))
    assert tenants(*FROM, "--where", "id IS NOT NULL -- a comment").startswith("2 added")
    assert tenants(*FROM, "--where", """id = 'acme' AND "legal ""name" LIKE '%0\\%' """).startswith("0 added")
    assert listed(tenants)["beta"][1] is False


def test_a_dry_run_shows_every_change_and_makes_none(tenants, owner) -> None:
    tenants("add", "acme")
    fill(owner, ("beta", None))
    told = tenants(*FROM, "--dry-run")
    assert told == (
        "added: beta\ndeactivated: acme\n"
        "1 added, 0 activated, 1 deactivated, 0 renamed, 0 unchanged (dry run: nothing was changed)\n"
    )
    assert json.loads(tenants(*FROM, "--dry-run", "--json")) == {
        "added": ["beta"],
        "activated": [],
        "deactivated": ["acme"],
        "renamed": [],
        "unchanged": 0,
        "dry_run": True,
    }
    assert listed(tenants) == {"acme": ("acme", True, 0)}


def test_an_empty_source_deactivates_everybody_only_when_that_is_said(tenants, owner) -> None:
    tenants("add", "acme")
    with pytest.raises(StartupError, match="--allow-empty"):
        tenants(*FROM)
    assert tenants(*FROM, "--allow-empty").startswith("0 added, 0 activated, 1 deactivated")


def test_a_column_that_repeats_its_ids_gives_each_once(tenants, owner) -> None:
    fill(owner, ("acme", "B"), ("acme", "A"), ("acme", None), ("beta", None))
    assert tenants(*NAMED).startswith("2 added")
    assert listed(tenants)["acme"][0] == "A"


@pytest.mark.parametrize(
    ("id_type", "values", "shown"),
    [
        ("text", [None, "acme"], "contains 1 values.*NULL"),
        ("text", ["acme", "no tenant", "", "x/y", "z z"], "contains 4 values.*'no tenant'.*, …"),
        ("uuid", [UUID, "acme"], "contains 1 values.*type uuid.*'acme'"),
        ("integer", ["1", "1.0"], "contains 1 values.*'1.0'"),
    ],
)
def test_a_source_with_anything_but_tenant_ids_changes_nothing(tenants, owner, monkeypatch, id_type, values, shown):
    monkeypatch.setenv("TENANTGATE_TENANCY__ID_TYPE", id_type)
    fill(owner, *((value, None) for value in values))
    with pytest.raises(StartupError, match=shown):
        tenants(*FROM)
    assert listed(tenants) == {}


def test_the_ids_of_a_source_are_written_in_their_canonical_spelling(tenants, owner, monkeypatch) -> None:
    monkeypatch.setenv("TENANTGATE_TENANCY__ID_TYPE", "uuid")
    fill(owner, (UUID.upper(), "A"), (UUID, "B"))
    assert tenants(*NAMED).startswith("1 added")
    assert list(listed(tenants)) == [UUID]
    owner.execute('ALTER TABLE "my shop"."all accounts" ALTER id TYPE uuid USING id::uuid')
    assert tenants(*FROM) == "0 added, 0 activated, 0 deactivated, 0 renamed, 1 unchanged\n"


@pytest.fixture
def administrator(owner: psycopg.Connection[Any], registry_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An administrator without superuser's rights, as Aurora and RDS give, who owns neither side's tables."""
    owner.execute("CREATE ROLE cloud_admin LOGIN PASSWORD 'x'")
    owner.execute("GRANT tenancy_owner TO cloud_admin")
    owner.execute('GRANT USAGE ON SCHEMA "my shop" TO cloud_admin')
    parts = urlsplit(registry_url)
    netloc = f"cloud_admin:x@{parts.hostname}:{parts.port}"
    monkeypatch.setenv("TENANTGATE_DATABASE__ADMIN_URL", parts._replace(netloc=netloc).geturl())
    yield
    owner.execute("DROP OWNED BY cloud_admin")
    owner.execute("DROP ROLE cloud_admin")


def test_an_administrator_without_superusers_rights_can_do_it_all(tenants, owner, administrator) -> None:
    owner.execute('GRANT SELECT ON "my shop"."all accounts" TO cloud_admin')
    fill(owner, ("acme", None))
    assert tenants("add", "beta") == "beta: added\n"
    assert tenants(*FROM).startswith("1 added, 0 activated, 1 deactivated")
    tenants("activate", "beta")
    tenants("map", ISSUER, "one", "beta")
    tenants("unmap", ISSUER, "one", "beta")
    assert listed(tenants) == {"acme": ("acme", True, 0), "beta": ("beta", True, 0)}


def test_a_source_whose_rows_are_hidden_from_the_administrator_deactivates_nobody(
    tenants, owner, administrator
) -> None:
    """Row level security answers with fewer rows, which would look like vanished tenants."""
    tenants("add", "acme")
    fill(owner, ("acme", None), ("beta", None))
    with pytest.raises(StartupError, match="not all rows can be read: permission denied"):
        tenants(*FROM)
    owner.execute('GRANT SELECT ON "my shop"."all accounts" TO cloud_admin')
    owner.execute('ALTER TABLE "my shop"."all accounts" ENABLE ROW LEVEL SECURITY')
    owner.execute('CREATE POLICY beta_alone ON "my shop"."all accounts" USING (id = \'beta\')')
    with pytest.raises(StartupError, match=r"row-level security.*no policy limits"):
        tenants(*FROM)
    assert listed(tenants) == {"acme": ("acme", True, 0)}


def test_two_syncs_at_once_leave_the_registry_as_one_of_them_would(tenants, owner, registry_url) -> None:
    """The second waits for the first."""
    fill(owner, ("acme", None))
    with psycopg.connect(registry_url) as other:
        other.execute("LOCK TABLE tenancy.tenants IN SHARE ROW EXCLUSIVE MODE")
        owner.execute("ALTER ROLE postgres IN DATABASE registry SET lock_timeout = '200ms'")
        try:
            with pytest.raises(StartupError, match="lock timeout"):
                tenants(*FROM)
        finally:
            owner.execute("ALTER ROLE postgres IN DATABASE registry RESET lock_timeout")
    assert tenants(*FROM).startswith("1 added")


def test_a_database_that_was_not_migrated_is_named_with_its_remedy(stack, settings_file, monkeypatch) -> None:
    with psycopg.connect(stack.admin_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE without_registry")
    try:
        url = urlsplit(stack.admin_url)._replace(path="/without_registry").geturl()
        monkeypatch.setenv("TENANTGATE_DATABASE__ADMIN_URL", url)
        for arguments in (["list"], ["add", "acme"], list(FROM)):
            result = QuietRunner().invoke(cli, ["tenants", *arguments])
            assert isinstance(result.exception, StartupError)
            assert "run `tenantgate migrate` first" in str(result.exception)
    finally:
        with psycopg.connect(stack.admin_url, autocommit=True) as connection:
            connection.execute("DROP DATABASE without_registry WITH (FORCE)")
