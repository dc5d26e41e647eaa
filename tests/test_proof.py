"""Nothing is read before isolation was proved, nor after it was lost; a database that is away stops neither start."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest
from support.logs import own_logs

from server.app import create_app
from server.catalog.loading import load_catalog
from server.database.database import Database
from server.database.statement import Principal, Statement
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.preparation import development_key, prepare_database
from server.doctor import proof
from server.doctor.proof import proving
from server.errors import StartupError, UnavailableError
from server.settings import DatabaseSettings, Settings

COUNT = Statement("count", "SELECT count(*) AS claims FROM app.claims WHERE $1::int = 1", dict[str, int])
EMMA = Principal("https://issuer.test", "emma", "broker-b", None)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "_RETRY_S", 0.1)
    monkeypatch.setattr(proof, "_REPEAT_S", 0.2)


@asynccontextmanager
async def served(settings: DatabaseSettings, first: proof.FirstProof | None = None):
    database = Database(settings)
    whole = Settings.model_validate({"database": settings.model_dump()})
    await database.open()
    try:
        async with proving(database, whole, load_catalog(["sample"]), lambda _facts: None, first):
            yield database
    finally:
        await database.close()


async def until(condition, patience_s: float = 10.0) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        await asyncio.sleep(0.02)


@pytest.fixture
def lost_and_found(tmp_path: Path) -> Iterator[tuple[EmbeddedPostgres, DatabaseSettings]]:
    """A server of its own that can be stopped and started: (launcher, settings that follow its port)."""
    postgres = EmbeddedPostgres(tmp_path / "postgres")
    postgres.start()
    key = development_key(tmp_path / "key")
    url = prepare_database(postgres, key, "https://issuer.test")
    settings = DatabaseSettings.model_validate({"url": url, "context_keys": [key.text()]})
    yield postgres, settings
    postgres.remove()


def test_a_database_that_is_away_at_the_start_is_waited_for_and_proved_before_the_first_row(
    lost_and_found, monkeypatch
) -> None:
    postgres, settings = lost_and_found
    port = postgres.port
    postgres.stop()

    def same_port() -> int:
        return port

    monkeypatch.setattr("server.dev.postgres.launcher._free_port", same_port)

    async def run() -> None:
        async with served(settings) as database:
            assert not database.proved
            assert not await database.is_ready()
            with pytest.raises(UnavailableError):
                await database.fetch(COUNT, (1,), EMMA)
            await asyncio.to_thread(postgres.start)
            await until(lambda: database.proved)
            assert await database.is_ready()
            assert await database.fetch(COUNT, (1,), EMMA) == [{"claims": 2}]

    asyncio.run(run())


def test_isolation_that_is_lost_while_serving_ends_the_answers_until_it_is_fixed(lost_and_found) -> None:
    postgres, settings = lost_and_found

    def administer(text: str) -> None:
        with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
            connection.execute(text.encode())

    async def run() -> None:
        async with served(settings) as database:
            assert database.proved
            await asyncio.to_thread(administer, "ALTER TABLE app.claims DISABLE ROW LEVEL SECURITY")
            await until(lambda: not database.proved)
            assert not await database.is_ready()
            with pytest.raises(UnavailableError):
                await database.fetch(COUNT, (1,), EMMA)
            await asyncio.to_thread(administer, "ALTER TABLE app.claims ENABLE ROW LEVEL SECURITY")
            await until(lambda: database.proved)
            assert await database.fetch(COUNT, (1,), EMMA) == [{"claims": 2}]

    asyncio.run(run())


def test_a_database_that_does_not_isolate_stops_the_start(lost_and_found) -> None:
    postgres, settings = lost_and_found

    async def run() -> None:
        async with served(settings):
            pytest.fail("it served")

    with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
        connection.execute("ALTER ROLE app_user BYPASSRLS")
    with pytest.raises(StartupError, match="0001_login_attributes"):
        asyncio.run(run())


def test_the_log_says_what_was_proved_at_the_start_and_again_when_it_changes(lost_and_found) -> None:
    postgres, settings = lost_and_found
    accepting = settings.model_copy(update={"accepted_relations": ("app.countries",)})

    def administer(text: str) -> None:
        with psycopg.connect(postgres.admin_url, autocommit=True) as connection:
            connection.execute(text.encode())

    def told(event: str) -> list[str]:
        return [str(one.get("relations") or one.get("notice")) for one in logs if one["event"] == event]

    async def run() -> None:
        async with served(accepting):
            # Several repetitions say nothing new.
            await asyncio.sleep(1.5)
            assert len(told("isolation is proved")) == 1
            text = "CREATE TABLE app.countries (code text); GRANT SELECT ON app.countries TO PUBLIC"
            await asyncio.to_thread(administer, text)
            await until(lambda: len(told("isolation is proved")) == 2)

    with own_logs() as logs:
        asyncio.run(run())
    relations = "app.claims (own column tenant_id), app.claims_by_day (own column tenant_id)"
    claims = f"2 relations proved with 2 real tenants: {relations}"
    assert told("isolation is proved") == [claims, f"{claims}, app.countries (accepted, not proved)"]
    assert [one.partition(";")[0] for one in told("a notice of the proof of isolation")] == [
        "app.countries is accepted by the settings and is not in reach",
        "app.countries is accepted by the settings: PUBLIC may read it, and it shows no row without a tenant context",
    ]


def test_what_a_process_has_just_proved_is_not_asked_again_when_its_application_starts(lost_and_found) -> None:
    postgres, settings = lost_and_found
    report = proof.require_isolation(
        Settings.model_validate({"database": settings.model_dump()}), load_catalog(["sample"])
    )
    assert report is not None
    postgres.stop()

    async def run(first: proof.FirstProof | None) -> bool:
        async with served(settings, first) as database:
            return database.proved

    assert asyncio.run(run(lambda: report))
    assert not asyncio.run(run(None))


def test_over_http_the_process_lives_and_is_not_ready_without_its_database(stack) -> None:
    away = urlsplit(stack.addresses.database_url)._replace(netloc="app_user@127.0.0.1:9").geturl()
    database = DatabaseSettings.model_validate(
        {"url": away, "context_keys": [one.get_secret_value() for one in stack.settings.database.context_keys]}
    )
    app = create_app(stack.settings.model_copy(update={"database": database}))

    async def run() -> list[int]:
        transport = httpx2.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
        ):
            return [(await client.get(path)).status_code for path in ("/ping", "/healthz", "/readyz")]

    assert asyncio.run(run()) == [200, 200, 503]


def test_over_http_a_proved_server_is_ready(stack, http) -> None:
    base = stack.addresses.mcp_url.removesuffix("/mcp")
    assert [http.get(f"{base}{path}").status_code for path in ("/ping", "/healthz", "/readyz")] == [200, 200, 200]
