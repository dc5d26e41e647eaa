"""A database that is not on this machine is reached under a verified certificate, or accepted by its name.

The requirement R174.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from support.second_server import MISSING, PROGRAMS, second_server
from support.tls import certificate

from server.administration.administrator import administrator
from server.database.connecting import Target
from server.database.transport import require_verified
from server.errors import SettingsError, UnreachableError

REFUSED = [
    "postgresql://app_user:x@db.example.com/x",
    "postgresql://app_user:x@db.example.com/x?sslmode=disable",
    "postgresql://app_user:x@db.example.com/x?sslmode=prefer",
    "postgresql://app_user:x@db.example.com/x?sslmode=require",
    "postgresql://app_user:x@db.example.com/x?sslmode=verify-ca",
    "postgresql://app_user:x@10.0.0.7/x",
    "postgresql://app_user:x@[2001:db8::7]/x",
    "postgresql://app_user:x@127.0.0.1,db.example.com/x",
    "postgresql://app_user:x@localhost/x?hostaddr=10.0.0.7",
    "postgresql://app_user:x@localhost.example.com/x",
    "postgresql://app_user:x@0.0.0.0/x",
    "postgresql:///x?host=db.example.com&user=app_user",
]
ACCEPTED = [
    "postgresql://app_user:x@db.example.com/x?sslmode=verify-full",
    "postgresql://app_user:x@db.example.com/x?sslmode=verify-full&sslrootcert=system",
    "postgresql://app_user:x@db.example.com/x?sslrootcert=system",
    "postgresql://app_user:x@127.0.0.1/x",
    "postgresql://app_user:x@127.1.2.3/x",
    "postgresql://app_user:x@[::1]/x",
    "postgresql://app_user:x@LOCALHOST/x",
    "postgresql:///x?host=/var/run/postgresql",
    "postgresql://app_user@/x",
    "postgresql://app_user:x@db.example.com/x?hostaddr=127.0.0.1",
]


@pytest.mark.parametrize("url", REFUSED)
@pytest.mark.parametrize("key", ["database.url", "database.admin_url"])
def test_a_host_elsewhere_without_a_verified_certificate_is_refused(url, key) -> None:
    with pytest.raises(SettingsError, match=rf"{key}: .* add sslmode=verify-full .* database\.unverified_tls"):
        Target(url, key).parameters()


@pytest.mark.parametrize("url", ACCEPTED)
def test_this_machine_and_a_verified_certificate_are_accepted(url) -> None:
    assert Target(url, "database.url").parameters()


@pytest.mark.parametrize("url", REFUSED)
def test_a_host_is_accepted_by_the_name_that_the_settings_have(url) -> None:
    names = ("DB.example.com", "10.0.0.7", "2001:db8::7", "localhost.example.com", "0.0.0.0")
    assert Target(url, "database.url", names).parameters()
    with pytest.raises(SettingsError):
        Target(url, "database.url", ("other.example.com",)).parameters()


def test_host_and_sslmode_of_the_environment_count(monkeypatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example.com")
    with pytest.raises(SettingsError, match=r"db\.example\.com"):
        Target("postgresql://app_user@/x", "database.url").parameters()
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    assert Target("postgresql://app_user@/x", "database.url").parameters()
    monkeypatch.setenv("PGSSLMODE", "require")
    with pytest.raises(SettingsError, match="sslmode is require"):
        Target("postgresql://app_user@db.example.com/x", "database.url").parameters()


def test_a_service_of_libpq_that_names_its_host_elsewhere_is_not_taken_for_this_machine() -> None:
    with pytest.raises(SettingsError, match="the service claims is not on this machine"):
        require_verified({"service": "claims"}, "database.url", ())


@pytest.mark.parametrize(
    "verb", [["serve"], *(pytest.param(one, marks=pytest.mark.slow) for one in (["keys", "list"], ["adopt"]))]
)
def test_every_verb_refuses_in_one_line_that_names_the_host(tmp_path: Path, verb: list[str]) -> None:
    config = tmp_path / "tenantgate.toml"
    url = "postgresql://app_user:s3cr3t@db.example.com/x"
    config.write_text(
        'resource_url = "http://127.0.0.1:1/mcp"\n[[issuers]]\nissuer = "http://127.0.0.1:1"\naudiences = ["x"]\n'
        f'[database]\nurl = "{url}"\nadmin_url = "{url}"\ncontext_keys = ["k1:{"A" * 43}="]\n'
    )
    config.chmod(0o600)
    more = ["--tenant-column", "t", "--output", str(tmp_path / "out")] if verb == ["adopt"] else []
    command = [sys.executable, "-m", "server", *verb, "--config", str(config), *more]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 2, ended.stderr
    assert "db.example.com is not on this machine" in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert "s3cr3t" not in ended.stdout + ended.stderr


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server with a certificate for this machine; yields its URL and the authority's file."""
    if PROGRAMS is None:
        pytest.skip(MISSING)
    folder = tmp_path_factory.mktemp("tls")
    folder.chmod(0o711)
    with second_server(folder / "server") as url, psycopg.connect(url, autocommit=True) as admin:
        ((place,),) = admin.execute("SHOW data_directory").fetchall()
        authority = certificate(Path(place), folder)
        admin.execute("ALTER SYSTEM SET ssl = on")
        admin.execute("SELECT pg_reload_conf()")
        yield url, authority


def test_a_verified_certificate_connects_and_another_authority_does_not(encrypted, tmp_path) -> None:
    url, authority = encrypted
    verified = f"{url}?sslmode=verify-full&sslrootcert={authority}"
    with administrator(verified) as admin:
        assert admin.pgconn.ssl_in_use
        assert admin.execute("SELECT 1").fetchone() == (1,)
    other = tmp_path / "other.crt"
    other.write_bytes(b"")
    with (
        pytest.raises(UnreachableError, match=r"root certificate|certificate verify failed|no certificate"),
        administrator(f"{url}?sslmode=verify-full&sslrootcert={other}"),
    ):
        pass
