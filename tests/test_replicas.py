"""Replicas, failover, a primary that only reads, a password that changes, no free connection: as the document says."""

import shutil
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import psycopg
import pytest
from pydantic import SecretStr
from support.pooler import through
from support.ports import free_port
from support.server_of_its_own import OwnServer, server_of_its_own

from server.administration.migrations import migrate
from server.catalog.loading import load_catalog
from server.database.connecting import Target, connected, login_target
from server.dev.postgres.child import Child
from server.dev.postgres.launcher import EmbeddedPostgres, _accepts
from server.dev.postgres.site import Site, find_site
from server.dev.preparation import prepare_database
from server.dev.stack import Stack
from server.doctor.examination import examine
from server.errors import StartupError, UnreachableError
from server.settings import Settings

DOWN = "The database is not available; nothing was read. Retry in a few seconds."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("replicas")
    made.chmod(0o711)
    return made


@pytest.fixture(scope="module")
def primary(folder: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(folder / "primary") as postgres:
        yield postgres
    postgres.remove()


@pytest.fixture(scope="module")
def login_url(stack: Stack, primary: EmbeddedPostgres) -> str:
    return prepare_database(primary, stack.settings.database.signing_keys()[0], stack.addresses.issuer)


@contextmanager
def replica_of(primary: EmbeddedPostgres, folder: Path) -> Generator[int]:
    """Run a streaming replica of everything; yield its port."""
    folder.mkdir(mode=0o711)
    found = find_site(folder)
    site = Site(found.account, found.place, found.programs)
    site.cluster.mkdir(mode=0o700)
    site.account.own(site.cluster)
    with (folder / "log").open("wb") as log:
        copy = [
            str(site.programs / "pg_basebackup"),
            "-D",
            str(site.cluster),
            "-d",
            primary.admin_url,
            "-R",
            "-c",
            "fast",
        ]
        child = Child([*copy, "--no-sync"], site.account, site.place, log)
        assert child.wait(60) == 0, (folder / "log").read_text()
        port = free_port()
        command = [str(site.programs / "postgres"), "-D", str(site.cluster), "-p", str(port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off"]
        child = Child(command, site.account, site.place, log)
        try:
            assert _accepts(child, site.cluster), (folder / "log").read_text()
            yield port
        finally:
            child.stop()
            shutil.rmtree(site.place, ignore_errors=True)


def settings_of(stack, url: str, **database: Any) -> Settings:
    changed = stack.settings.database.model_copy(update={"url": SecretStr(url), **database})
    return stack.settings.model_copy(update={"database": changed})


def text_of(server: OwnServer) -> str:
    result = server.call("query_claims", timeout=30)
    return result["content"][0]["text"] if result["isError"] else "answered"


def eventually(condition: Callable[[], bool], within_s: float = 60) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_replica_serves_and_refuses_what_writes_and_a_failover_is_followed(stack, primary, login_url, folder) -> None:
    with replica_of(primary, folder / "replica") as port:
        replica, admin = through(login_url, port), through(primary.admin_url, port)
        report = examine(settings_of(stack, replica, admin_url=SecretStr(admin)), load_catalog(["sample"]), admin=True)
        assert report.holds, report.failed
        with server_of_its_own(stack, url=SecretStr(replica)) as server:
            assert text_of(server) == "answered"
        with pytest.raises(StartupError, match=r"the database is read-only .*set database\.admin_url to the primary"):
            migrate(admin, lambda _step: None, folders=["sample"])
        credentials = login_url.rpartition("@")[0]
        hosts = f"127.0.0.1:{port},127.0.0.1:{primary.port}"
        several = f"{credentials}@{hosts}/postgres?target_session_attrs=read-write"
        with connected(login_target(settings_of(stack, several).database)) as connection:
            assert connection.info.port == primary.port
        with (
            pytest.raises(UnreachableError),
            connected(Target(f"{replica}?target_session_attrs=primary", "database.url")),
        ):
            pass
        with server_of_its_own(stack, url=SecretStr(several)) as server:
            assert text_of(server) == "answered"
            primary.stop()
            try:
                assert text_of(server) == DOWN
                assert httpx2.get(f"{server.url}/readyz", timeout=20).status_code == 503
                with psycopg.connect(admin, autocommit=True) as promoting:
                    promoting.execute("SELECT pg_promote()")
                eventually(lambda: text_of(server) == "answered")
                eventually(lambda: httpx2.get(f"{server.url}/readyz", timeout=20).status_code == 200)
            finally:
                primary.start()


def test_a_primary_that_only_reads_serves_and_refuses_migrations(stack, primary, login_url) -> None:
    login_url = through(login_url, primary.port)
    with psycopg.connect(primary.admin_url, autocommit=True) as admin:
        admin.execute("ALTER DATABASE postgres SET default_transaction_read_only = on")
        try:
            with server_of_its_own(stack, url=SecretStr(login_url)) as server:
                assert text_of(server) == "answered"
            with pytest.raises(StartupError, match="the database is read-only"):
                migrate(primary.admin_url, lambda _step: None)
        finally:
            with psycopg.connect(primary.admin_url, autocommit=True) as mending:
                mending.execute("SET default_transaction_read_only = off")
                mending.execute("ALTER DATABASE postgres RESET default_transaction_read_only")


def test_without_a_free_connection_callers_are_asked_to_retry_and_the_start_waits(stack, primary, login_url) -> None:
    login_url = through(login_url, primary.port)
    with psycopg.connect(primary.admin_url, autocommit=True) as admin:
        admin.execute("ALTER ROLE app_user CONNECTION LIMIT 0")
        try:
            with pytest.raises(UnreachableError, match="too many connections"):
                examine(settings_of(stack, login_url), load_catalog(["sample"]))
            with server_of_its_own(stack, url=SecretStr(login_url)) as server:
                assert httpx2.get(f"{server.url}/ping").status_code == 200
                assert httpx2.get(f"{server.url}/readyz", timeout=20).status_code == 503
                assert text_of(server) == DOWN
                admin.execute("ALTER ROLE app_user CONNECTION LIMIT -1")
                eventually(lambda: text_of(server) == "answered")
        finally:
            admin.execute("ALTER ROLE app_user CONNECTION LIMIT -1")


@pytest.mark.parametrize(
    ("mistake", "mending", "words"),
    [
        ("ALTER ROLE app_user NOLOGIN", "ALTER ROLE app_user LOGIN", "is not permitted to log in"),
        (
            "ALTER ROLE app_user VALID UNTIL '2001-01-01'",
            "ALTER ROLE app_user VALID UNTIL 'infinity'",
            "password authentication failed",
        ),
        (
            "REVOKE CONNECT ON DATABASE postgres FROM PUBLIC, app_user",
            "GRANT CONNECT ON DATABASE postgres TO PUBLIC, app_user",
            "permission denied for database",
        ),
    ],
)
def test_a_login_that_may_not_connect_is_named_in_the_databases_own_words(
    stack, primary, login_url, mistake, mending, words
) -> None:
    login_url = through(login_url, primary.port)
    with psycopg.connect(primary.admin_url, autocommit=True) as admin:
        admin.execute(mistake.encode())
        try:
            with pytest.raises(UnreachableError, match=words):
                examine(settings_of(stack, login_url), load_catalog(["sample"]))
        finally:
            admin.execute(mending.encode())
