"""How connections are made: what the URL says is kept, what can be misread is refused, and no password is repeated.

The requirements R171, R172.
"""

import asyncio
import logging
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr, ValidationError
from support.logs import own_logs
from support.pooler import proxy, refuses_options, through
from support.ports import free_port
from support.server_of_its_own import server_of_its_own

from server.administration.administrator import administrator
from server.database.connecting import Target, connected, login_target
from server.database.pool import Pool
from server.database.url import mistake_in
from server.doctor.proof import require_isolation
from server.errors import SettingsError, StartupError, UnreachableError
from server.settings import DatabaseSettings, Settings


def settings_with(stack, url: str, **database: object) -> Settings:
    changed = stack.settings.database.model_copy(update={"url": SecretStr(url), **database})
    return stack.settings.model_copy(update={"database": changed})


async def one_row(settings: DatabaseSettings) -> object:
    pool = Pool(settings)
    await pool.open()
    try:
        return await pool.run(b"SELECT current_setting('statement_timeout')", (), None)
    finally:
        await pool.close()


def test_case_01_doctor_and_pool_send_the_same_packet_without_options(stack) -> None:
    """What was proved is what serves: a proxy that refuses `options` refuses neither or both."""
    with proxy(stack.addresses.database_url, refuses_options) as found:
        settings = settings_with(stack, through(stack.addresses.database_url, found.port))
        report = require_isolation(settings, _catalog(settings))
        assert report is not None
        assert report.holds
        doctors = found.packets.copy()
        assert asyncio.run(one_row(settings.database)) == (b"5s",)
        pools = found.packets[len(doctors) :]
    assert pools
    assert all(packet == doctors[0] for packet in [*doctors, *pools])
    assert "options" not in doctors[0]
    assert doctors[0]["application_name"] == "tenantgate"


def _catalog(settings: Settings):
    from server.catalog.loading import load_catalog

    return load_catalog(settings.catalog)


def test_case_01_what_the_url_says_is_kept(stack) -> None:
    url = stack.addresses.database_url
    asked = "options=-c%20geqo%3Doff&application_name=claims-prod&connect_timeout=9"
    with proxy(url) as found:
        settings = settings_with(stack, f"{through(url, found.port)}?{asked}").database
        assert login_target(settings).parameters()["connect_timeout"] == "9"
        with connected(login_target(settings)):
            asyncio.run(one_row(settings))
        with administrator(f"{through(stack.admin_url, found.port)}?{asked}"):
            pass
    assert {packet["options"] for packet in found.packets} == {"-c geqo=off"}
    assert {packet["application_name"] for packet in found.packets} == {"claims-prod"}
    assert {packet["user"] for packet in found.packets} == {"app_user", "postgres"}


def test_case_01_a_server_behind_a_proxy_that_refuses_options_answers(stack) -> None:
    url = stack.addresses.database_url
    with (
        proxy(url, refuses_options) as found,
        server_of_its_own(stack, url=SecretStr(through(url, found.port))) as server,
    ):
        assert not server.call("query_claims")["isError"]


def test_case_01_options_of_the_url_that_a_proxy_refuses_are_named_at_the_start(stack) -> None:
    url = stack.addresses.database_url
    with proxy(url, refuses_options) as found:
        settings = settings_with(stack, f"{through(url, found.port)}?options=-c%20geqo%3Doff")
        with pytest.raises(StartupError) as refused:
            require_isolation(settings, _catalog(settings))
    assert str(refused.value) == (
        "RDS Proxy accepts no `options`; remove options from database.url, and unset PGOPTIONS"
    )
    assert not isinstance(refused.value, UnreachableError)


@pytest.mark.parametrize(
    ("asked", "kept"),
    [("?target_session_attrs=read-write", "primary"), ("?target_session_attrs=standby", "standby"), ("", None)],
)
def test_a_login_that_only_reads_asks_for_the_primary_where_read_write_is_asked_for(asked, kept) -> None:
    assert Target(f"postgresql://u@127.0.0.1/db{asked}", "database.url").parameters().get(
        "target_session_attrs"
    ) == kept  # fmt: skip


def test_of_several_hosts_the_next_is_tried(stack, unused_tcp_port) -> None:
    url = stack.addresses.database_url
    hosts = f"@127.0.0.1:{unused_tcp_port},127.0.0.1:{url.rpartition(':')[2]}"
    several = f"{url.rpartition('@')[0]}{hosts}?target_session_attrs=read-write"
    settings = settings_with(stack, several).database
    assert login_target(settings).parameters()["host"] == "127.0.0.1,127.0.0.1"
    assert asyncio.run(one_row(settings)) == (b"5s",)


@pytest.fixture
def unused_tcp_port() -> int:
    return free_port()


# The end of each password would be read as a host, a port, a path or a query.
MISREAD = {
    "@": "postgresql://app_user:s3cr@t-Pa55@127.0.0.1:5432/db",
    "@ twice": "postgresql://app_user:s3cr@t@Pa55@127.0.0.1/db",
    "%": "postgresql://app_user:s3cr%t-Pa55@127.0.0.1:5432/db",
    "% at the end": "postgresql://app_user:s3cr-Pa55%@127.0.0.1:5432/db",
    "%00": "postgresql://app_user:s3cr%00Pa55@127.0.0.1:5432/db",
    "/": "postgresql://app_user:s3cr/Pa55@127.0.0.1:5432/db",
    "@ and /": "postgresql://app_user:s3@cr/Pa55@127.0.0.1:5432/db",
    "?": "postgresql://app_user:s3cr?Pa55@127.0.0.1:5432/db",
    "a blank": "postgresql://app_user:s3cr Pa55@127.0.0.1:5432/db",
    "a line break": "postgresql://app_user:s3cr\nPa55@127.0.0.1:5432/db",
    "a bracket": "postgresql://app_user:s3cr@[Pa55/db",
    "an account with its host": "postgresql://app_user@server:s3cr-Pa55@127.0.0.1/db",
}


@pytest.mark.parametrize("name", MISREAD)
def test_a_password_that_is_not_encoded_is_refused_and_not_repeated(name) -> None:
    url = MISREAD[name]
    problem = mistake_in(url) or ""
    assert "percent-encode" in problem
    with pytest.raises(ValidationError) as invalid:
        DatabaseSettings.model_validate({"url": url})
    with pytest.raises(SettingsError) as refused, administrator(url):
        pass
    for said in (problem, str(invalid.value), str(refused.value), str(refused.value.__cause__)):
        assert not any(part in said for part in ("s3", "Pa55"))


@pytest.mark.parametrize(
    "verb", ["serve", *(pytest.param(one, marks=pytest.mark.slow) for one in ("doctor", "migrate"))]
)
def test_a_verb_says_percent_encode_in_one_line(tmp_path, verb) -> None:
    config = tmp_path / "tenantgate.toml"
    config.write_text(
        'resource_url = "http://127.0.0.1:1/mcp"\n[[issuers]]\nissuer = "http://127.0.0.1:1"\naudiences = ["x"]\n'
        f'[database]\nurl = "{MISREAD["@"]}"\nadmin_url = "{MISREAD["%"]}"\n'
    )
    config.chmod(0o600)
    command = [sys.executable, "-m", "server", verb, "--config", str(config)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2
    assert ended.stderr.count("\n") == 1
    assert "database.url: " in ended.stderr
    assert "percent-encode" in ended.stderr
    assert not any(part in ended.stdout + ended.stderr for part in ("s3cr", "Pa55"))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app_user:p%40ss%25w%2Frd%3F@127.0.0.1:5432/db",
        "postgres://app_user:p:a#s~s!*@[::1]:5432/db?sslmode=disable",
        "postgresql://app_user@/db?host=/var/run/postgresql",
        "postgresql://app_user:x@%2Fvar%2Frun/db",
        "postgresql:///db?user=app_user&password=p@ss",
        "postgresql://app_user:x@localhost:5432,127.0.0.1:5433/db?target_session_attrs=primary",
        "postgresql://app_user:x@127.0.0.1/db?options=endpoint%3Dep-cool-1",
        "postgresql://app_user:pässwörd@localhost/db",
    ],
)
def test_an_unambiguous_url_is_accepted(url) -> None:
    assert mistake_in(url) is None
    assert Target(url, "database.url").parameters()


@pytest.mark.parametrize("password", ["p@ss%w/rd?", "a b", "100%", "ü:;'\"\\#&=+", "[::1]"])
def test_a_password_that_is_encoded_logs_in(stack, admin, password) -> None:
    from urllib.parse import quote

    before = stack.addresses.database_url
    admin.execute("CREATE ROLE connecting LOGIN")
    try:
        admin.execute(sql.SQL("ALTER ROLE connecting PASSWORD {}").format(sql.Literal(password)))
        url = f"postgresql://connecting:{quote(password, safe='')}@{before.rpartition('@')[2]}"
        with psycopg.connect(**Target(url, "database.url").parameters()) as connection:
            assert connection.info.user == "connecting"
    finally:
        admin.execute("DROP ROLE connecting")


def test_no_log_or_error_repeats_a_password_that_the_database_refuses(stack, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = stack.addresses.database_url.replace("app_user:", "app_user:wrong%20s3cr3t-")
    settings = settings_with(stack, wrong)
    with own_logs() as lines:
        assert require_isolation(settings, _catalog(settings)) is None
        with pytest.raises(psycopg.OperationalError) as refused:
            asyncio.run(one_row(settings.database))
    password = wrong.partition("app_user:")[2].partition("@")[0]
    said = f"{lines}{caplog.text}{refused.value}"
    assert 'password authentication failed for user "app_user"' in said
    assert "s3cr3t" not in said
    assert password not in said


def test_case_19_a_rotated_password_is_read_again_from_the_settings_file(stack, admin, tmp_path: Path, monkeypatch):
    """The connections that are open go on; new ones use what the file says now, and nothing else of it."""
    url = stack.addresses.database_url
    config = tmp_path / "tenantgate.toml"

    def write(to: str) -> None:
        config.write_text(f'[database]\nurl = "{to}"\n')
        config.chmod(0o600)

    write(url)
    monkeypatch.setenv("TENANTGATE_CONFIG", str(config))
    password = url.partition("app_user:")[2].partition("@")[0]
    try:
        with server_of_its_own(stack) as server:
            assert not server.call("query_claims")["isError"]
            admin.execute("ALTER ROLE app_user PASSWORD 'rotated-p@ss'")
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app_user'")
            assert server.call("query_claims", timeout=20)["isError"]
            write(url.replace(password, "rotated-p%40ss"))
            answers = [server.call("query_claims", timeout=20)["isError"] for _ in range(5)]
            assert answers[-1] is False
        target = login_target(stack.settings.database)
        assert target.parameters()["password"] == "rotated-p@ss"
        write("postgresql://app_user:other@127.0.0.9:1/elsewhere")
        assert target.parameters()["password"] == password
        assert target.parameters()["host"] == "127.0.0.1"
        config.write_text("[database")
        assert target.parameters()["password"] == password
    finally:
        admin.execute(sql.SQL("ALTER ROLE app_user PASSWORD {}").format(sql.Literal(password)))
