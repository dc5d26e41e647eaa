"""Secrets in AWS Secrets Manager or Parameter Store, read where a secret setting names one.

`aws-secret:NAME` is a secret's text, `aws-secret:NAME#key` one field of its JSON, `aws-parameter:/path` a parameter. A
URL can have one of these in braces as its password. Messages may show names and keys, but never values.
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, cast
from urllib.parse import quote

import structlog
from pydantic import BaseModel

from server.errors import SettingsError
from server.setting_names import secret_names

# The characters that AWS allows in names; RDS uses exclamation marks in its names.
_REFERENCE: Final = re.compile(r"aws-(secret|parameter):([A-Za-z0-9/_+=.@:!-]+)(?:#([A-Za-z0-9_.-]+))?")
_IN_BRACES: Final = re.compile(r"\{(aws-[^{}]*)\}")
_PREFIX: Final = ("aws-secret:", "aws-parameter:")
# When settings are read again, a rotated secret is found after at most this time.
KEPT_S: Final = 60.0
_CONNECT_S: Final = 2
_READ_S: Final = 5
_ATTEMPTS: Final = 2
_log: Final = structlog.get_logger("settings")


@dataclass(slots=True)
class _Kept:
    text: str = field(repr=False)
    until: float


_KEPT: Final[dict[tuple[str, str], _Kept]] = {}


def forget() -> None:
    """Forget all secrets, so that the next use reads them again, such as at a reload."""
    _KEPT.clear()


def without_references(text: str) -> str:
    """Return a value without the parts that only name a secret."""
    return _REFERENCE.sub("", _IN_BRACES.sub("", text))


def resolved(model: type[BaseModel], data: Any) -> Any:
    """Return settings data with each reference to a secret in AWS replaced by that secret.

    Raises SettingsError that names the setting, the secret and the remedy.
    """
    if not isinstance(data, dict):
        return data
    found = cast("dict[str, Any]", data)
    for path in secret_names(model):
        found = _put(found, path, ".".join(path))
    return found


def _put(data: dict[str, Any], path: tuple[str, ...], setting: str) -> dict[str, Any]:
    """Return `data` with the secret at `path`; the caller's data is not changed."""
    first, *rest = path
    value = data.get(first)
    if rest:
        return (
            data | {first: _put(cast("dict[str, Any]", value), tuple(rest), setting)}
            if isinstance(value, dict)
            else data
        )
    if isinstance(value, list | tuple):
        texts = [_texts(one, setting) if isinstance(one, str) else [one] for one in cast("list[Any]", value)]
        return data | {first: [one for some in texts for one in some]}
    return data | {first: _text(value, setting)} if isinstance(value, str) else data


def _texts(text: str, setting: str) -> list[str]:
    """Return the items for one item of a list: a secret may hold several."""
    return re.split(r"[,\s]+", _text(text, setting).strip()) if _PREFIX[0] in text or _PREFIX[1] in text else [text]


def _text(text: str, setting: str) -> str:
    """Return a value with its references replaced by the secrets."""
    if not any(prefix in text for prefix in _PREFIX):
        return text
    if "://" in text:
        # Percent-encoded, because a password may hold any character.
        return _IN_BRACES.sub(lambda found: quote(_secret(found[1], setting), safe=""), text)
    return ",".join(
        _secret(one, setting) if one.startswith(_PREFIX) else one for one in re.split(r"[,\s]+", text.strip())
    )


def _secret(reference: str, setting: str) -> str:
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        raise SettingsError(
            f"{setting}: {reference!a} is not a reference to a secret; write aws-secret:NAME, aws-secret:NAME#key or "
            "aws-parameter:/path"
        )
    kind, name, key = found.groups()
    text = _kept(kind, name, setting)
    return text if key is None else _of_json(text, name, key, setting)


def _of_json(text: str, name: str, key: str, setting: str) -> str:
    try:
        value: Any = json.loads(text)[key]
    except (ValueError, KeyError, TypeError):
        value = None
    if not isinstance(value, str) or not value:
        raise SettingsError(
            f'{setting}: the secret {name} has no text "{key}" in its JSON; correct the key after the #'
        )
    return value


def _kept(kind: str, name: str, setting: str) -> str:
    """Return the text of a secret, at most KEPT_S old; while AWS does not answer, the last one that was read."""
    kept = _KEPT.get((kind, name))
    if kept is not None and time.monotonic() < kept.until:
        return kept.text
    try:
        text = _fetched(kind, name, setting)
    except SettingsError as error:
        if kept is None:
            raise
        _log.warning("a secret cannot be read again; its last value stays in use", secret=name, problem=str(error))
        text = kept.text
    _KEPT[kind, name] = _Kept(text, time.monotonic() + KEPT_S)
    return text


def _fetched(kind: str, name: str, setting: str) -> str:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        text = _READ[kind](name)
    except (ClientError, BotoCoreError) as error:
        raise SettingsError(f"{setting}: {_explained(kind, name, error)}") from error
    if not text.strip():
        raise SettingsError(f"{setting}: the {_NAMES[kind]} {name} is empty or binary; store a text")
    return text.strip()


def _explained(kind: str, name: str, error: Any) -> str:
    """Return the problem and the remedy, with AWS's code instead of its message."""
    code = str(getattr(error, "response", {}).get("Error", {}).get("Code", type(error).__name__))
    what = f"the {_NAMES[kind]} {name}"
    if code in {"ResourceNotFoundException", "ParameterNotFound"}:
        return f"{what} does not exist ({code}); correct its name, or AWS's region"
    if "AccessDenied" in code:
        return f"{what} may not be read ({code}); allow {_PERMISSIONS[kind]} on it, and kms:Decrypt on its key"
    return f"{what} cannot be read ({code}); check AWS's region, credentials and network"


def _of_secrets_manager(name: str) -> str:
    return str(_client("secretsmanager", _region(name)).get_secret_value(SecretId=name).get("SecretString", ""))


def _of_parameter_store(name: str) -> str:
    answer = _client("ssm", _region(name)).get_parameter(Name=name, WithDecryption=True)
    return str(answer["Parameter"].get("Value", ""))


_READ: Final[dict[str, Callable[[str], str]]] = {"secret": _of_secrets_manager, "parameter": _of_parameter_store}
_NAMES: Final = {"secret": "secret", "parameter": "parameter"}
_PERMISSIONS: Final = {"secret": "secretsmanager:GetSecretValue", "parameter": "ssm:GetParameter"}


def _region(name: str) -> str | None:
    """Return the region in an ARN, or None."""
    return name.split(":")[3] if name.startswith("arn:") and name.count(":") > 3 else None


@cache
def _client(service: str, region: str | None) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=_CONNECT_S, read_timeout=_READ_S, retries={"total_max_attempts": _ATTEMPTS})
    return cast("Any", boto3.Session()).client(service, region_name=region, config=config)
