"""Keys are added, listed and retired while servers go on answering, and no secret is shown twice."""

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from support.quiet_runner import QuietRunner

from server.__main__ import cli
from server.administration.key_table import put_key
from server.administration.migrations import migrate
from server.database.context_keys import CONTEXT_LIFETIME_S, new_context_key, parse_context_key
from server.database.database import Database
from server.database.statement import Principal, Statement
from server.dev.sample import load_sample
from server.dev.stack import Stack
from server.errors import SettingsError, StartupError, WithheldError
from server.settings import DatabaseSettings

COUNT = Statement("count", "SELECT count(*) AS claims FROM app.claims WHERE $1::int = 1", dict[str, int])
EMMA = Principal("https://issuer.test", "emma", "broker-b", None)


@pytest.fixture(scope="module")
def rotated(stack: Stack) -> Iterator[tuple[str, str]]:
    """A database of its own, so that no other test loses its key: (administrator's URL, login's URL)."""
    with psycopg.connect(stack.admin_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE rotated")
    admin_url, url = (
        urlsplit(one)._replace(path="/rotated").geturl() for one in (stack.admin_url, stack.addresses.database_url)
    )
    migrate(admin_url, lambda _step: None, folders=["sample"])
    with psycopg.connect(admin_url, autocommit=True) as connection:
        load_sample(connection, "https://issuer.test")
    yield admin_url, url
    with psycopg.connect(stack.admin_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE rotated WITH (FORCE)")


@pytest.fixture
def admin(rotated: tuple[str, str]) -> Iterator[psycopg.Connection[Any]]:
    """The administrator, on a table without keys."""
    with psycopg.connect(rotated[0], autocommit=True) as connection:
        connection.execute("TRUNCATE tenancy.keys")
        yield connection


@pytest.fixture
def keys(
    rotated: tuple[str, str], admin: psycopg.Connection[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Run `tenantgate keys …`; return what it printed."""
    config = tmp_path / "tenantgate.toml"
    config.touch(mode=0o600)
    config.write_text(
        'resource_url = "http://127.0.0.1:1/mcp"\n[[issuers]]\nissuer = "http://127.0.0.1:1"\naudiences = ["x"]\n'
        f'[database]\nadmin_url = "{rotated[0]}"\n'
    )
    monkeypatch.setenv("TENANTGATE_CONFIG", str(config))

    def run(*arguments: str) -> str:
        result = QuietRunner().invoke(cli, ["keys", *arguments])
        if result.exception is not None:
            raise result.exception
        return result.stdout

    return run


def listed(keys) -> dict[str, str]:
    return {key["kid"]: key["state"] for key in json.loads(keys("list", "--json"))}


def test_a_new_key_is_printed_once_and_stored_as_its_pads(keys, admin) -> None:
    key = parse_context_key(keys("add").strip())
    assert key.kid == "k1"
    assert admin.execute("SELECT kid, inner_pad, outer_pad FROM tenancy.keys").fetchall() == [("k1", *key.pads())]
    assert parse_context_key(keys("add").strip()).kid == "k2"
    shown = keys("list") + keys("list", "--json")
    assert "k1" in shown
    assert key.text().partition(":")[2] not in shown
    assert key.secret.hex() not in shown


def test_a_key_id_is_chosen_or_refused(keys) -> None:
    assert keys("add", "--kid", "summer").startswith("summer:")
    with pytest.raises(StartupError, match="the key id summer is already in use"):
        keys("add", "--kid", "summer")
    with pytest.raises(SettingsError, match=r"--kid: .*lower-case"):
        keys("add", "--kid", "Summer!")
    assert listed(keys) == {"summer": "valid"}


def test_a_retired_key_is_accepted_until_what_it_signed_has_expired(keys, admin) -> None:
    keys("add")
    keys("add")
    before = datetime.now(UTC)
    told = keys("retire", "k1")
    (not_after,) = admin.execute("SELECT not_after FROM tenancy.keys WHERE kid = 'k1'").fetchall()[0]
    assert before + timedelta(seconds=CONTEXT_LIFETIME_S - 5) < not_after
    assert not_after < datetime.now(UTC) + timedelta(seconds=CONTEXT_LIFETIME_S + 5)
    assert not_after.isoformat(timespec="seconds") in told
    assert listed(keys) == {"k1": "retiring", "k2": "valid"}
    # Again does not prolong it.
    keys("retire", "k1")
    assert admin.execute("SELECT not_after FROM tenancy.keys WHERE kid = 'k1'").fetchall() == [(not_after,)]


def test_the_last_valid_key_is_retired_only_by_force(keys) -> None:
    keys("add")
    with pytest.raises(StartupError, match=r"k1 is the last valid key.*--force"):
        keys("retire", "k1")
    assert listed(keys) == {"k1": "valid"}
    keys("retire", "k1", "--force")
    assert listed(keys) == {"k1": "retiring"}
    with pytest.raises(StartupError, match="the key id k7 does not exist"):
        keys("retire", "k7")


def test_keys_are_rotated_without_a_call_that_fails(rotated, keys, admin) -> None:
    """New settings come up beside old ones; only after the old key's time do old settings fail."""
    first, second = new_context_key("k1"), None
    put_key(admin, first)

    def serves(*texts: str) -> bool:
        async def ask() -> bool:
            settings = DatabaseSettings.model_validate({"url": rotated[1], "context_keys": texts})
            database = Database(settings)
            database.proved = True
            await database.open()
            try:
                return await database.fetch(COUNT, (1,), EMMA) == [{"claims": 2}]
            except WithheldError:
                return False
            finally:
                await database.close()

        return asyncio.run(ask())

    assert serves(first.text())
    second = keys("add").strip()
    assert serves(first.text())
    assert serves(second, first.text())
    keys("retire", "k1")
    assert serves(first.text()), "what is signed in this minute is still accepted"
    assert serves(second, first.text())
    admin.execute("UPDATE tenancy.keys SET not_after = now() WHERE kid = 'k1'")
    assert not serves(first.text())
    assert serves(second, first.text())
    assert listed(keys) == {"k1": "retired", "k2": "valid"}


def test_without_a_migrated_database_the_error_says_so(stack, keys, monkeypatch) -> None:
    with psycopg.connect(stack.admin_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE empty_one")
    try:
        monkeypatch.setenv(
            "TENANTGATE_DATABASE__ADMIN_URL", urlsplit(stack.admin_url)._replace(path="/empty_one").geturl()
        )
        with pytest.raises(StartupError, match="tenantgate migrate"):
            keys("list")
    finally:
        with psycopg.connect(stack.admin_url, autocommit=True) as connection:
            connection.execute("DROP DATABASE empty_one WITH (FORCE)")
