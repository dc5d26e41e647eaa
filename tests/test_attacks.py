"""Arbitrary SQL as the server's own login reads no other tenant's row, where a plain session setting gives it away."""

import asyncio
import tomllib
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from support.second_server import MISSING, PROGRAMS, second_server
from support.sql_outcome import LOOT, outcome

from server.administration.key_table import put_key
from server.administration.migrations import migrate
from server.database.connecting import login_target
from server.database.context_keys import new_context_key
from server.database.links import opened
from server.database.session import Session
from server.dev.sample import load_sample
from server.dev.stack import Stack

FOLDER = Path(__file__).parent
ATTACKS = tomllib.loads((FOLDER / "attacks.toml").read_text(encoding="utf-8"))
NAMES = {
    "seed": {
        "setting": "app.current_tenant_id",
        "quoted": 'app."current_tenant_id"',
        "policy": "tenant_isolation",
        "schema": "app",
        "database": "seed",
    },
    "here": {
        "setting": "tenancy.context",
        "quoted": 'tenancy."context"',
        "policy": "tenant_reads",
        "schema": "tenancy",
        "database": "postgres",
    },
}
LATER_S = 4_000_000_000
CAPTURED: dict[str, Any] = {
    "person": ("https://issuer.test", "emma"),
    "tenant": "broker-b",
    "tier": "",
    "expiry_s": LATER_S,
}


@dataclass(frozen=True)
class Target:
    """One server with both databases, the contexts an attacker could have, and connections as the login."""

    seed_url: str
    url: str
    contexts: dict[str, str]
    runner: asyncio.Runner

    def attempt(self, where: str, statements: Sequence[str], value: str) -> str:
        """Run one attack on a fresh connection, each statement as a plain query string."""

        async def run() -> str:
            url = self.seed_url if where == "seed" else self.url
            async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
                return await outcome(connection, _filled(statements, where, value))

        return self.runner.run(run())


def _filled(statements: Sequence[str], where: str, value: str) -> list[str]:
    names = NAMES[where] | {"value": value}
    filled = list(statements)
    for name, text in names.items():
        filled = [one.replace(f"{{{name}}}", text) for one in filled]
    return filled


def _database(url: str, name: str) -> str:
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def _target(admin_url: str, url: str, key: Any, runner: asyncio.Runner) -> Target:
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE seed")
    with psycopg.connect(_database(admin_url, "seed"), autocommit=True) as connection:
        connection.execute((FOLDER / "seed.sql").read_bytes())
    genuine = key.sign(**CAPTURED, digest="0" * 64)
    contexts = {
        "bare": "broker-b",
        "captured": genuine,
        "forged": new_context_key(key.kid).sign(**CAPTURED, digest="0" * 64),
    }
    return Target(_database(url, "seed"), url, contexts, runner)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def target(stack: Stack, runner: asyncio.Runner) -> Iterator[Target]:
    yield _target(stack.admin_url, stack.addresses.database_url, stack.settings.database.signing_keys()[0], runner)
    with psycopg.connect(stack.admin_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE seed WITH (FORCE)")


@pytest.fixture(scope="module")
def second_target(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    if PROGRAMS is None:
        pytest.skip(MISSING)
    with second_server(tmp_path_factory.mktemp("second") / "postgres") as admin_url:
        migrate(admin_url, lambda _step: None, folders=["sample"])
        key = new_context_key("k1")
        with psycopg.connect(admin_url, autocommit=True) as connection:
            connection.execute("ALTER ROLE app_user PASSWORD 'of-a-login'")
            put_key(connection, key)
            load_sample(connection, "https://issuer.test")
        yield _target(admin_url, admin_url.replace("postgres:of-a-test", "app_user:of-a-login"), key, runner)


@pytest.fixture(scope="module")
def connect(stack: Stack) -> Callable[..., Coroutine[Any, Any, psycopg.AsyncConnection[Any]]]:
    """Connects as the server's own pool does, with the server's settings."""
    settings = stack.settings.database
    target, session = login_target(settings), Session(settings)
    return lambda: opened(target, session)


WITHOUT_XML = [name for name, attack in ATTACKS.items() if not attack.get("xml")]


def _judge(target: Target, name: str) -> None:
    attack = ATTACKS[name]
    assert not any(LOOT in text for text in attack["sql"]), "an attack must not bring its own loot"
    assert target.attempt("seed", attack["sql"], "broker-b") == attack["seed"]
    values = target.contexts if any("{value}" in text for text in attack["sql"]) else {"bare": ""}
    for kind, value in values.items():
        assert target.attempt("here", attack["sql"], value) == attack["here"], kind


@pytest.mark.parametrize("name", WITHOUT_XML)
def test_an_attack_reads_nothing_here_whatever_it_reads_of_a_plain_setting(target, name) -> None:
    """R79, R82, R85: each with a bare tenant name, a forged context and one captured from another statement."""
    _judge(target, name)


@pytest.mark.parametrize("name", [name for name in ATTACKS if name not in WITHOUT_XML])
def test_functions_that_run_text_read_nothing_on_a_second_server_that_has_xml(second_target, name) -> None:
    _judge(second_target, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", WITHOUT_XML)
def test_an_attack_reads_nothing_on_a_second_server_either(second_target, name) -> None:
    _judge(second_target, name)


@pytest.mark.parametrize("name", WITHOUT_XML)
def test_an_attack_on_the_servers_own_pool_reads_nothing(target, connect, name) -> None:
    async def run() -> str:
        # The next attack starts on another one.
        async with await connect() as connection:
            statements = _filled(ATTACKS[name]["sql"], "here", target.contexts["captured"])
            return await outcome(connection, statements, prepare=True)

    assert target.runner.run(run()) == ATTACKS[name].get("pool", ATTACKS[name]["here"])


def test_there_are_enough_attacks_and_most_are_alive() -> None:
    assert len(ATTACKS) >= 60
    assert sum(attack["seed"] == "reads" for attack in ATTACKS.values()) >= 50
    assert not any(attack["here"] == "reads" for attack in ATTACKS.values())


def test_the_login_is_as_the_migration_left_it_after_all_attacks(stack) -> None:
    from server.catalog.loading import load_catalog
    from server.doctor.examination import examine

    report = examine(stack.settings, load_catalog(stack.settings.catalog))
    assert report.holds, report.failed
