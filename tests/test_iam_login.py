"""`database.iam`: each new connection logs in with a fresh token of AWS IAM, under a certificate that is verified.

The requirement R232.
"""

import time
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from pydantic import SecretStr, ValidationError
from support.rds_front import ACCESS_KEY, SECRET, Front, rds_front
from support.server_of_its_own import server_of_its_own
from support.tls import certificate

from server.administration.administrator import administrator
from server.database import iam
from server.database.connecting import Target, connected
from server.dev.stack import Stack
from server.errors import SettingsError, UnreachableError
from server.settings import DatabaseSettings

REGION = "eu-central-1"
HERE = "postgresql://app_user@localhost/db?sslmode=verify-full"


@pytest.fixture(autouse=True)
def credentials(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """After the stack, which has credentials of its own."""
    assert stack
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    iam._client.cache_clear()
    yield
    iam._client.cache_clear()


@pytest.fixture
def front(stack: Stack, tmp_path: Path) -> Generator[Front]:
    """The stack's database, which trusts the login meanwhile: the front alone asks for a password."""
    with psycopg.connect(stack.admin_url, autocommit=True) as admin:
        ((place,),) = admin.execute("SHOW hba_file").fetchall()
        file = Path(place)
        before = file.read_text()
        file.write_text("host all app_user 127.0.0.1/32 trust\n" + before)
        admin.execute("SELECT pg_reload_conf()")
        try:
            authority = certificate(tmp_path, tmp_path)
            with rds_front(urlsplit(stack.admin_url).port or 0, tmp_path, authority, REGION) as running:
                yield running
        finally:
            file.write_text(before)
            admin.execute("SELECT pg_reload_conf()")


def url_of(front: Front) -> str:
    return f"postgresql://app_user@localhost:{front.port}/postgres?sslmode=verify-full&sslrootcert={front.authority}"


def test_each_new_connection_of_the_server_logs_in_with_a_token_made_for_it(stack, front: Front) -> None:
    """R232."""
    # A token that was kept would be too old for a connection that is made two seconds later.
    front.accepted_s = 2.0
    with server_of_its_own(stack, url=SecretStr(url_of(front)), iam=True, region=REGION) as server:
        assert not server.call("query_claims")["isError"]
        before = len(front.tokens)
        assert before >= 2
        time.sleep(2.1)
        front.cut()
        for _ in range(50):
            if not server.call("query_claims")["isError"]:
                break
            time.sleep(0.1)
        assert not server.call("query_claims")["isError"]
    assert len(front.tokens) > before
    assert not set(front.tokens[:before]) & set(front.tokens[before:])
    assert front.refused == []


def test_a_token_that_the_database_refuses_is_one_line_without_the_token(front: Front, monkeypatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    target = Target(url_of(front), "database.url", iam=True, region=REGION)
    with pytest.raises(UnreachableError, match="PAM authentication failed") as caught, connected(target):
        pass
    assert front.refused == ["the signature does not hold"]
    assert front.tokens[0] not in str(caught.value)
    assert "X-Amz" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("tenants.cluster-c1a2b3.eu-west-3.rds.amazonaws.com", "eu-west-3"),
        ("tenants.proxy-c1a2b3.us-gov-west-1.rds.amazonaws.com", "us-gov-west-1"),
        ("tenants.c1a2b3.cn-north-1.rds.amazonaws.com.cn", "cn-north-1"),
        ("tenants.cluster-c1a2b3.ap-southeast-2.rds.api.aws", "ap-southeast-2"),
    ],
)
def test_the_region_is_that_of_the_host_unless_it_is_set(host, region) -> None:
    url = f"postgresql://app_user@{host}/db?sslmode=verify-full"
    for given, wanted in ((None, region), ("eu-north-1", "eu-north-1")):
        password = Target(url, "database.url", iam=True, region=given).parameters()["password"]
        assert password.startswith(f"{host}:5432/?")
        assert f"%2F{wanted}%2Frds-db%2F" in password


REFUSED: dict[str, tuple[str, str]] = {
    "no certificate": ("postgresql://app_user@127.0.0.1/db", "needs sslmode=verify-full"),
    "a host accepted by name": ("postgresql://app_user@db.internal/db?sslmode=require", "needs sslmode=verify-full"),
    "several hosts": ("postgresql://app_user@a,b/db?sslmode=verify-full", "exactly one host"),
    "no host": ("postgresql:///db?sslmode=verify-full&user=app_user", "exactly one host"),
}


@pytest.mark.parametrize(("url", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_a_login_that_a_token_cannot_be_made_for_is_refused(url, problem) -> None:
    """R232: nobody who is between gets a token."""
    with pytest.raises(SettingsError, match=problem):
        Target(url, "database.url", ("db.internal",), iam=True, region=REGION).parameters()


@pytest.mark.parametrize(
    "url", [HERE.replace("app_user", "app_user:s3cr3t"), f"{HERE}&password=s3cr3t"], ids=["in front", "behind"]
)
def test_a_password_beside_tokens_is_refused_and_not_repeated(url) -> None:
    with pytest.raises(ValidationError, match="remove one of the two") as caught:
        DatabaseSettings.model_validate({"url": url, "iam": True})
    assert "s3cr3t" not in str(caught.value)


def test_without_credentials_the_error_names_the_remedy(monkeypatch, tmp_path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    nothing: dict[str, Any] = {"AWS_EC2_METADATA_DISABLED": "true", "HOME": tmp_path}
    for name, value in nothing.items():
        monkeypatch.setenv(name, str(value))
    with pytest.raises(UnreachableError, match=r"no token for database\.iam .* check the region"):
        Target(HERE, "database.url", iam=True, region=REGION).parameters()


def test_the_administrator_keeps_the_password_of_its_own_url(stack) -> None:
    with administrator(stack.admin_url) as admin:
        assert admin.execute("SELECT 1").fetchone() == (1,)
