"""Secrets from files, and checks of who can read these files.

Each secret can come from a file that a variable names (`TENANTGATE_DATABASE__URL_FILE=/run/secrets/url`) or from a
file of its name (`database__url`) in the folder TENANTGATE_SECRETS_FOLDER. The files are read with the settings, so
a rotated secret is found when the settings are read again.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import parse_qs, urlsplit

from pydantic import BaseModel

from server.aws_secrets import without_references
from server.errors import SettingsError
from server.setting_names import DELIMITER, field_at, secret_names

FOLDER_VARIABLE: Final = "TENANTGATE_SECRETS_FOLDER"
_SUFFIX: Final = "_FILE"
_MOST_BYTES: Final = 65_536


def file_of(model: type[BaseModel], name: str, prefix: str) -> tuple[str, ...] | None:
    """Return the path of the secret whose file the variable `name` names; None when it is another variable."""
    if not (name.startswith(prefix) and name.endswith(_SUFFIX)):
        return None
    whole = name.removeprefix(prefix).lower()
    # If a setting has this whole name, the variable is that setting.
    if field_at(model, whole.split(DELIMITER)) is not None:
        return None
    path = tuple(whole.removesuffix(_SUFFIX.lower()).split(DELIMITER))
    return path if path in set(secret_names(model)) else None


def secrets_from_files(model: type[BaseModel], prefix: str) -> dict[str, Any]:
    """Return the secrets in files, nested as in a settings file; raise SettingsError with the name of a wrong file."""
    found: dict[str, Any] = {}
    for path, file in _files_in_folder(model):
        _put(found, path, _read(file))
    for name, value in os.environ.items():
        path = file_of(model, name, prefix)
        if path is None:
            continue
        plain = name.removesuffix(_SUFFIX)
        if plain in os.environ:
            raise SettingsError(f"{plain} and {name} are both set; unset one of them")
        _put(found, path, _read(Path(value)))
    return found


def check_settings_file(file: Path, data: Mapping[str, Any], model: type[BaseModel]) -> None:
    """Raise SettingsError when the settings file holds a secret and others can read it."""
    held = [".".join(path) for path in secret_names(model) if _is_secret(_value(data, path))]
    if held and _is_open(file):
        raise SettingsError(
            f"the settings file {file} holds secrets ({', '.join(held)}) and other users can read or change it; "
            f"run `chmod 600 {file}`"
        )


def _files_in_folder(model: type[BaseModel]) -> Iterator[tuple[tuple[str, ...], Path]]:
    named = os.environ.get(FOLDER_VARIABLE)
    if not named:
        return
    known = {DELIMITER.join(path): path for path in secret_names(model)}
    try:
        # Kubernetes keeps versions of a secret under names that begin with a dot.
        files = sorted(file for file in Path(named).iterdir() if not file.name.startswith("."))
    except OSError as error:
        raise SettingsError(
            f"the folder {named} of {FOLDER_VARIABLE} cannot be read ({error.strerror}); correct its path or its rights"
        ) from error
    for file in files:
        path = known.get(file.name.lower().replace(".", DELIMITER))
        if path is None:
            names = ", ".join(sorted(known))
            raise SettingsError(
                f"{file} is not the name of a tenantgate secret; remove it, or give it one of these names: {names}"
            )
        yield path, file


def _read(file: Path) -> str:
    try:
        if _is_open(file):
            raise SettingsError(
                f"the file {file} holds a secret and other users can read or change it; run `chmod 600 {file}`"
            )
        text = file.read_bytes()[: _MOST_BYTES + 1].decode()
    except OSError as error:
        raise SettingsError(f"the secret in {file} cannot be read ({error.strerror}); correct the path") from error
    except UnicodeDecodeError:
        raise SettingsError(f"the secret in {file} is not UTF-8 text; write it again in UTF-8") from None
    if not text.strip() or len(text) > _MOST_BYTES:
        raise SettingsError(
            f"the file {file} is {'empty' if not text.strip() else 'too long'}; write the secret into it"
        )
    return text.strip()


def _is_open(file: Path) -> bool:
    """Whether an account that should not be able to read or change the file can do so.

    The group may read a file of root's: that is how a service reads a file that it must not change. A read-only mount,
    as Docker and Kubernetes make for a secret, is for this container only, and nobody can change its modes.
    """
    found = file.stat()
    if os.statvfs(file).f_flag & os.ST_RDONLY:
        return False
    is_roots = found.st_uid == 0 != os.geteuid()
    allowed = stat.S_IRGRP if is_roots else 0
    return bool(stat.S_IMODE(found.st_mode) & (stat.S_IRWXG | stat.S_IRWXO) & ~allowed & ~(stat.S_IXGRP | stat.S_IXOTH))


def _value(data: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = data
    for part in path:
        value = cast("dict[str, Any]", value).get(part) if isinstance(value, dict) else None
    return value


def _is_secret(value: Any) -> bool:
    """Whether a value of the settings file is secret; a URL without a password is not."""
    if isinstance(value, list):
        return any(map(_is_secret, cast("list[Any]", value)))
    if isinstance(value, str):
        # The name of a secret is not secret.
        value = "" if value.startswith("kms:") else without_references(value).strip(", ")
    if not isinstance(value, str) or "://" not in value:
        return bool(value)
    try:
        parts = urlsplit(value)
        return bool(parts.password) or "password" in parse_qs(parts.query)
    except ValueError:
        return True


def _put(found: dict[str, Any], path: tuple[str, ...], text: str) -> None:
    *sections, last = path
    for section in sections:
        found = found.setdefault(section, {})
    found[last] = text
