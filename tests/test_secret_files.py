"""Secrets from files and variables (R181): as `keys add` prints them, read by nobody else, repeated nowhere (R184)."""

import json
import os
import tomllib
from pathlib import Path

import pytest

from server import secret_files
from server.configuration import load_settings
from server.errors import SettingsError
from server.setting_names import secret_names
from server.settings import CONFIG_VARIABLE, Settings

KEYS = ("k2:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", "k1:QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU=")
URL = "postgresql://app_user:hunter2@127.0.0.1:1/claims"
VARIABLE = "TENANTGATE_DATABASE__CONTEXT_KEYS"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("TENANTGATE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv(CONFIG_VARIABLE, "")


def written(file: Path, text: str, mode: int = 0o600) -> Path:
    file.write_text(text)
    file.chmod(mode)
    return file


def keys() -> tuple[str, ...]:
    return tuple(key.text() for key in load_settings().database.signing_keys())


def refusal() -> str:
    with pytest.raises(SettingsError) as refused:
        load_settings()
    text = str(refused.value)
    assert "\n" not in text
    assert "hunter2" not in text
    assert "MDEy" not in text
    return text


@pytest.mark.parametrize(
    "text",
    [
        *(f"{KEYS[0]}{between}{KEYS[1]}" for between in (",", ", ", " ", "\n")),
        json.dumps(KEYS),
        f" {json.dumps(KEYS)}\n",
    ],
)
@pytest.mark.parametrize("source", ["variable", "file", "folder"])
def test_context_keys_are_taken_as_keys_add_prints_them(monkeypatch, tmp_path, text, source) -> None:
    if source == "variable":
        monkeypatch.setenv(VARIABLE, text)
    elif source == "file":
        monkeypatch.setenv(f"{VARIABLE}_FILE", str(written(tmp_path / "keys", text)))
    else:
        written(tmp_path / "database__context_keys", text)
        monkeypatch.setenv(secret_files.FOLDER_VARIABLE, str(tmp_path))
    assert keys() == KEYS


def test_one_context_key_is_taken_as_keys_add_prints_it(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv(VARIABLE, KEYS[0])
    assert keys() == KEYS[:1]
    monkeypatch.delenv(VARIABLE)
    file = written(tmp_path / "settings.toml", f'[database]\ncontext_keys = "{KEYS[0]}"\n')
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    assert keys() == KEYS[:1]


@pytest.mark.parametrize("text", ["k1", "k1:MDEy", "[k1:MDEy]", "K1:MDEy", '["k1:MDEy"', f"{KEYS[0]},{KEYS[0]}"])
def test_a_malformed_context_key_is_one_line_without_the_key(monkeypatch, text) -> None:
    monkeypatch.setenv(VARIABLE, text)
    assert "database.context_keys" in refusal()


def test_every_secret_can_come_from_a_file_of_a_variable_or_of_the_folder(monkeypatch, tmp_path) -> None:
    """Also those that are added later: they are found in the settings themselves."""
    paths = list(secret_names(Settings))
    assert {("database", "url"), ("database", "admin_url"), ("database", "context_keys")} <= set(paths)
    for path in paths:
        name = f"TENANTGATE_{'__'.join(path).upper()}_FILE"
        assert secret_files.file_of(Settings, name, "TENANTGATE_") == path
    monkeypatch.setenv("TENANTGATE_DATABASE__URL_FILE", str(written(tmp_path / "url", f"{URL}\n")))
    folder = tmp_path / "secrets"
    folder.mkdir()
    written(folder / "database.admin_url", f"{URL}?x=1")
    written(folder / "DATABASE__URL", "postgresql://other@h/d")
    (folder / "..data").mkdir()
    monkeypatch.setenv(secret_files.FOLDER_VARIABLE, str(folder))
    database = load_settings().database
    # The variable for one secret wins over the folder for all.
    assert database.url.get_secret_value() == URL
    assert database.admin_url.get_secret_value() == f"{URL}?x=1"


def test_the_settings_file_gives_way_to_a_file_of_a_secret_and_that_to_a_variable(monkeypatch, tmp_path) -> None:
    file = written(tmp_path / "settings.toml", '[database]\nurl = "postgresql://a@h/d"\nlogin = "reader"\n')
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    monkeypatch.setenv("TENANTGATE_DATABASE__URL_FILE", str(written(tmp_path / "url", URL)))
    database = load_settings().database
    assert (database.url.get_secret_value(), database.login) == (URL, "reader")
    monkeypatch.delenv("TENANTGATE_DATABASE__URL_FILE")
    monkeypatch.setenv("TENANTGATE_DATABASE__URL", "postgresql://b@h/d")
    assert load_settings().database.url.get_secret_value() == "postgresql://b@h/d"


def test_a_rotated_secret_is_found_when_the_settings_are_read_again(monkeypatch, tmp_path) -> None:
    file = written(tmp_path / "url", URL)
    monkeypatch.setenv("TENANTGATE_DATABASE__URL_FILE", str(file))
    assert load_settings().database.url.get_secret_value() == URL
    file.write_text(URL.replace("hunter2", "hunter3"))
    assert "hunter3" in load_settings().database.url.get_secret_value()


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (URL, 0o644, "chmod 600"),
        (URL, 0o660, "chmod 600"),
        ("", 0o600, "is empty"),
        ("x" * 70_000, 0o600, "is too long"),
        (None, 0o600, "cannot be read (No such file or directory)"),
    ],
)
@pytest.mark.parametrize("source", ["variable", "folder"])
def test_a_file_that_cannot_be_used_is_named(monkeypatch, tmp_path, text, mode, said, source) -> None:
    file = tmp_path / "database__url"
    if text is not None:
        written(file, text, mode)
    elif source == "folder":
        file = tmp_path / "none"
    if source == "variable":
        monkeypatch.setenv("TENANTGATE_DATABASE__URL_FILE", str(file))
    else:
        monkeypatch.setenv(secret_files.FOLDER_VARIABLE, str(tmp_path if text is not None else file))
    told = refusal()
    assert said in told
    assert str(file) in told


def test_a_value_that_is_not_utf_8_is_named(monkeypatch, tmp_path) -> None:
    file = written(tmp_path / "url", "")
    file.write_bytes(b"postgresql://x\xff@h/d")
    monkeypatch.setenv("TENANTGATE_DATABASE__URL_FILE", str(file))
    assert "is not UTF-8" in refusal()


def test_a_secret_that_is_given_twice_or_is_not_a_setting_is_refused(monkeypatch, tmp_path) -> None:
    file = str(written(tmp_path / "url", URL))
    monkeypatch.setenv("TENANTGATE_DATABASE__URL_FILE", file)
    monkeypatch.setenv("TENANTGATE_DATABASE__URL", URL)
    assert "both set" in refusal()
    monkeypatch.delenv("TENANTGATE_DATABASE__URL")
    monkeypatch.delenv("TENANTGATE_DATABASE__URL_FILE")
    monkeypatch.setenv("TENANTGATE_DATABASE__LOGIN_FILE", file)
    assert "TENANTGATE_DATABASE__LOGIN_FILE is not a tenantgate setting" in refusal()
    monkeypatch.delenv("TENANTGATE_DATABASE__LOGIN_FILE")
    monkeypatch.setenv(secret_files.FOLDER_VARIABLE, str(tmp_path))
    assert f"{file} is not the name of a tenantgate secret" in refusal()


SECRETS = {
    "a password": f'[database]\nurl = "{URL}"\n',
    "a password in the query": '[database]\nurl = "postgresql://app_user@h/d?password=hunter2"\n',
    "the administrator's password": f'[database]\nadmin_url = "{URL}"\n',
    "keys": f'[database]\ncontext_keys = ["{KEYS[0]}"]\n',
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o666])
def test_a_settings_file_with_secrets_that_others_can_read_or_change_is_refused(
    monkeypatch, tmp_path, secret, mode
) -> None:
    file = written(tmp_path / "settings.toml", SECRETS[secret], mode)
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    assert f"run `chmod 600 {file}`" in refusal()
    file.chmod(0o600)
    load_settings()
    file.chmod(0o400)
    load_settings()


@pytest.mark.parametrize(
    "text", ["", '[database]\nurl = "postgresql://app_user@h/d"\n', "[database]\ncontext_keys = []\n"]
)
def test_a_settings_file_without_secrets_may_be_read_by_everybody(monkeypatch, tmp_path, text) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(written(tmp_path / "settings.toml", text, 0o644)))
    load_settings()


def test_a_link_to_a_private_file_is_private(monkeypatch, tmp_path) -> None:
    """Kubernetes mounts a secret as links."""
    written(tmp_path / "real.toml", SECRETS["keys"])
    (tmp_path / "settings.toml").symlink_to("real.toml")
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "settings.toml"))
    load_settings()
    (tmp_path / "real.toml").chmod(0o644)
    assert "chmod 600" in refusal()


def test_a_read_only_mount_may_show_a_secret_to_all_of_its_container(monkeypatch, tmp_path) -> None:
    """Docker and Kubernetes mount secrets so by default, and nobody in the container could change the mode."""
    file = written(tmp_path / "settings.toml", SECRETS["keys"], 0o444)
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    real = os.statvfs(file)

    class ReadOnly:
        f_flag = real.f_flag | os.ST_RDONLY

    def mounted(_file: Path) -> type[ReadOnly]:
        return ReadOnly

    monkeypatch.setattr(secret_files.os, "statvfs", mounted)
    load_settings()


@pytest.mark.parametrize(
    ("mode", "accepted"), [(0o400, True), (0o440, True), (0o640, True), (0o660, False), (0o444, False)]
)
def test_the_group_may_read_what_root_owns(monkeypatch, tmp_path, mode, accepted) -> None:
    """So a service reads settings that it cannot change."""
    file = written(tmp_path / "settings.toml", SECRETS["keys"], mode)
    if file.stat().st_uid != 0:
        pytest.skip("only root makes files of root")
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    monkeypatch.setattr(secret_files.os, "geteuid", lambda: 1000)
    if accepted:
        load_settings()
    else:
        assert "chmod 600" in refusal()


WRONG_VARIABLES = {
    "TENANTGATE_DATABASE": ("nonsense", 'must be JSON, such as {"key": "value"}'),
    "TENANTGATE_ISSUERS": ("[{]", 'must be JSON, such as [{"key": "value"}]'),
    "TENANTGATE_CATALOG": ("sample", 'must be JSON, such as ["a", "b"]'),
    "TENANTGATE_DATABASE__ACCEPTED_RELATIONS": ("app.one", "must be JSON"),
    "TENANTGATE_ISSUERS__0__ISSUER": (
        "https://a.example",
        "names a part of a list of sections; set TENANTGATE_ISSUERS",
    ),
    "TENANTGATE_DATABASE__URL__HOST": ("h", "is not a tenantgate setting"),
    "TENANTGATE_PORT__X": ("1", "is not a tenantgate setting"),
    "TENANTGATE_": ("1", "is not a tenantgate setting"),
    "TENANTGATE_PORT": ("8000a", "port: Input should be a valid integer"),
    "TENANTGATE_RESOURCE_URL": ("http://[x/", "resource_url: Invalid IPv6 URL"),
    "TENANTGATE_DATABASE__URL": ("postgresql://x\udcff:hunter2@h/d", "is not UTF-8"),
}


@pytest.mark.parametrize("name", WRONG_VARIABLES)
def test_a_malformed_variable_is_one_line_that_names_it(monkeypatch, name) -> None:
    value, said = WRONG_VARIABLES[name]
    monkeypatch.setenv(name, value)
    told = refusal()
    assert said in told
    assert name in told or told.startswith(said)


def test_a_list_or_a_section_can_be_a_variable_as_json(monkeypatch) -> None:
    monkeypatch.setenv("TENANTGATE_CATALOG", '["sample"]')
    monkeypatch.setenv("TENANTGATE_ISSUERS", '[{"issuer": "https://a.example", "client_ids": ["x"]}]')
    monkeypatch.setenv("TENANTGATE_DATABASE", json.dumps({"url": URL}))
    settings = load_settings()
    assert (settings.catalog, settings.issuers[0].client_ids) == (("sample",), ("x",))
    assert settings.database.url.get_secret_value() == URL


def test_a_settings_file_that_init_writes_can_be_read_by_its_owner_alone(monkeypatch, tmp_path) -> None:
    from server.cli.init import init

    init(config=tmp_path / "own.toml")
    assert (tmp_path / "own.toml").stat().st_mode & 0o777 == 0o600
    assert tomllib.loads((tmp_path / "own.toml").read_text())["database"]["login"] == "app_user"
