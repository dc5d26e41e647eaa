"""Secrets of AWS Secrets Manager and Parameter Store, read over the wire by genuine boto3 from moto.

The requirement R233.
"""

import json
import os
from collections.abc import Generator
from typing import Any

import pytest
from moto.server import ThreadedMotoServer
from support.ports import free_port

from server import aws_secrets
from server.configuration import current_settings, load_settings
from server.errors import SettingsError
from server.settings import CONFIG_VARIABLE

KEYS = ("k2:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", "k1:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU=")
PASSWORD = "hunter2@/?% :x"
URL = "postgresql://app_user:hunter2@127.0.0.1:1/claims"
URL_VARIABLE, KEYS_VARIABLE = "TENANTGATE_DATABASE__URL", "TENANTGATE_DATABASE__CONTEXT_KEYS"


@pytest.fixture(scope="module")
def endpoint() -> Generator[str]:
    port = free_port()
    server = ThreadedMotoServer("127.0.0.1", port, verbose=False)
    server.start()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(scope="module")
def services(endpoint: str) -> Generator[Any]:
    """Clients for all tests: genuine boto3 takes long to make one."""
    aws_secrets._client.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "of-a-test")
        patch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
        for service in ("SECRETS_MANAGER", "SSM"):
            patch.setenv(f"AWS_ENDPOINT_URL_{service}", endpoint)
        secrets, parameters = aws_secrets._client("secretsmanager", None), aws_secrets._client("ssm", None)
        # moto loads each service with the first question, which may take so long that it is asked again.
        secrets.list_secrets()
        parameters.put_parameter(Name="/tenantgate/url", Value=URL, Type="SecureString", Overwrite=True)
        yield secrets
        for one in ("secretsmanager", "ssm"):
            aws_secrets._client(one, None).close()
    aws_secrets._client.cache_clear()


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch, services: Any) -> Generator[Any]:
    for name in [name for name in os.environ if name.startswith("TENANTGATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(CONFIG_VARIABLE, "")
    aws_secrets.forget()
    for name, text in SECRETS.items():
        services.create_secret(Name=name, SecretString=text)
    services.create_secret(Name="binary", SecretBinary=b"x")
    yield services
    for name in (*SECRETS, "binary"):
        services.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True)


SECRETS = {
    "tenantgate/url": f"{URL}\n",
    "tenantgate/keys": f"{KEYS[0]}, {KEYS[1]}",
    "rds!cluster-1": json.dumps({"username": "app_user", "password": PASSWORD, "port": 5432}),
    "k1": KEYS[1],
}


def a_minute_later() -> None:
    for kept in aws_secrets._KEPT.values():
        kept.until -= 60


def refusal() -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings()
    text = str(refused.value)
    assert "\n" not in text
    assert "hunter2" not in text
    assert "MDEy" not in text
    return text


@pytest.mark.parametrize("source", ["variable", "file of a secret", "settings file"])
@pytest.mark.parametrize("name", ["aws-secret:tenantgate/url", "aws-parameter:/tenantgate/url"])
def test_a_secret_is_read_from_aws_wherever_its_name_stands(monkeypatch, tmp_path, source, name) -> None:
    """R233. A file that only names secrets need not be its owner's alone."""
    if source == "variable":
        monkeypatch.setenv(URL_VARIABLE, name)
    elif source == "file of a secret":
        (tmp_path / "url").touch(mode=0o600)
        (tmp_path / "url").write_text(name)
        monkeypatch.setenv(f"{URL_VARIABLE}_FILE", str(tmp_path / "url"))
    else:
        file = tmp_path / "settings.toml"
        file.write_text(f'[database]\nurl = "{name}"\n')
        file.chmod(0o644)
        monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    assert load_settings().database.url.get_secret_value() == URL


@pytest.mark.parametrize(
    "text", ["aws-secret:tenantgate/keys", f"{KEYS[0]},aws-secret:k1", '["aws-secret:tenantgate/keys"]']
)
def test_context_keys_are_taken_from_one_secret_or_several(monkeypatch, tmp_path, text) -> None:
    file = tmp_path / "settings.toml"
    file.touch(mode=0o600)
    file.write_text(f"[database]\ncontext_keys = {text if text.startswith('[') else json.dumps(text)}\n")
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    assert tuple(key.text() for key in load_settings().database.signing_keys()) == KEYS
    monkeypatch.setenv(CONFIG_VARIABLE, "")
    if not text.startswith("["):
        monkeypatch.setenv(KEYS_VARIABLE, text)
        assert tuple(key.text() for key in load_settings().database.signing_keys()) == KEYS


def test_a_password_of_rds_stands_in_its_place_of_the_url_whatever_it_holds(monkeypatch, tmp_path) -> None:
    named = "postgresql://app_user:{aws-secret:rds!cluster-1#password}@127.0.0.1:1/claims"
    file = tmp_path / "settings.toml"
    file.write_text(f'[database]\nurl = "{named}"\n')
    file.chmod(0o644)
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    encoded = "hunter2%40%2F%3F%25%20%3Ax"
    assert load_settings().database.url.get_secret_value() == named.replace(
        "{aws-secret:rds!cluster-1#password}", encoded
    )


def test_a_rotated_secret_is_taken_within_a_minute_or_at_once_after_a_reload(monkeypatch, aws) -> None:
    monkeypatch.setenv(URL_VARIABLE, "aws-secret:tenantgate/url")
    assert load_settings().database.url.get_secret_value() == URL
    aws.put_secret_value(SecretId="tenantgate/url", SecretString=URL.replace("hunter2", "hunter3"))
    assert load_settings().database.url.get_secret_value() == URL
    a_minute_later()
    assert "hunter3" in load_settings().database.url.get_secret_value()
    aws.put_secret_value(SecretId="tenantgate/url", SecretString=URL)
    aws_secrets.forget()
    assert load_settings().database.url.get_secret_value() == URL


def test_while_aws_does_not_answer_the_last_value_is_used(monkeypatch, aws) -> None:
    monkeypatch.setenv(URL_VARIABLE, "aws-secret:k1")
    aws.put_secret_value(SecretId="k1", SecretString=URL)
    assert load_settings().database.url.get_secret_value() == URL
    aws.delete_secret(SecretId="k1", ForceDeleteWithoutRecovery=True)
    a_minute_later()
    settings = current_settings()
    assert settings is not None
    assert settings.database.url.get_secret_value() == URL
    aws_secrets.forget()
    assert current_settings() is None
    aws.create_secret(Name="k1", SecretString=KEYS[1])


REFUSED = {
    "no such secret": ("aws-secret:nowhere", "secret nowhere does not exist (ResourceNotFoundException)"),
    "no such parameter": ("aws-parameter:/nowhere", "parameter /nowhere does not exist (ParameterNotFound)"),
    "no such key": ("aws-secret:rds!cluster-1#secret", 'secret rds!cluster-1 has no text "secret" in its JSON'),
    "no text": ("aws-secret:rds!cluster-1#port", 'has no text "port"'),
    "no JSON": ("aws-secret:tenantgate/url#password", 'has no text "password"'),
    "binary": ("aws-secret:binary", "the secret binary is empty or binary"),
    "no name": ("aws-secret:", "is not a reference to a secret; write aws-secret:NAME"),
    "a blank": ("postgresql://app_user:{aws-secret:a b}@h/d", "is not a reference to a secret"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_a_secret_that_cannot_be_had_is_one_line_that_names_setting_and_secret(monkeypatch, text, said) -> None:
    """R233."""
    monkeypatch.setenv(URL_VARIABLE, text)
    refused = refusal()
    assert refused.startswith("database.url: ")
    assert said in refused


def test_a_wrong_value_from_aws_is_reported_without_the_value(monkeypatch, aws) -> None:
    aws.put_secret_value(SecretId="tenantgate/keys", SecretString="k1:MDEyMzQ1Njc4OTAx")
    monkeypatch.setenv(KEYS_VARIABLE, "aws-secret:tenantgate/keys")
    assert "database.context_keys" in refusal()


def test_aws_out_of_reach_is_one_line_with_the_remedy(monkeypatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_SECRETS_MANAGER", f"http://127.0.0.1:{free_port()}")
    # An ARN names its region, so there is a client of its own.
    name = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:tenantgate/url-Ab12Cd"
    monkeypatch.setenv(URL_VARIABLE, f"aws-secret:{name}")
    assert "cannot be read (EndpointConnectionError); check AWS's region, credentials and network" in refusal()
