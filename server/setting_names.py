"""The names of the settings: which exist, which are secrets, and what form a variable must have."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeGuard, get_args

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import NoDecode

from server.errors import SettingsError

DELIMITER: Final = "__"
_EXAMPLES: Final = {
    "list": '["a", "b"]',
    "list of sections": '[{"key": "value"}]',
    "object": '{"key": "value"}',
}


def secret_names(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield the path of each setting that is a secret, or a list of secrets, such as ("database", "url")."""
    for name, field in model.model_fields.items():
        path = (*above, name)
        if section := _section(field):
            yield from secret_names(section, path)
        elif SecretStr in _types(field.annotation):
            yield path


def check_variable(model: type[BaseModel], name: str, prefix: str, text: str) -> None:
    """Raise SettingsError where the variable `name` is not a setting, or `text` cannot be its value."""
    *above, last = name.removeprefix(prefix).lower().split(DELIMITER)
    inside: type[BaseModel] | None = model
    for part in above:
        field = inside.model_fields.get(part) if inside else None
        if field is None:
            raise _unknown(name)
        inside = _section(field)
        if inside is None:
            raise _within(name, prefix, field) or _unknown(name)
    field = inside.model_fields.get(last) if inside else None
    if field is None:
        raise _unknown(name)
    _check_text(name, field, text)


def field_at(model: type[BaseModel], path: Sequence[str]) -> FieldInfo | None:
    """Return the setting at `path`, or None."""
    inside: type[BaseModel] | None = model
    field: FieldInfo | None = None
    for part in path:
        field = inside.model_fields.get(part) if inside else None
        inside = _section(field) if field else None
    return field


def _check_text(name: str, field: FieldInfo, text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise SettingsError(f"the variable {name} is not UTF-8; correct its value") from None
    kind = _json_kind(field)
    if kind is None or NoDecode in field.metadata:
        return
    try:
        json.loads(text)
    except ValueError:
        # Without the text, which may hold a secret.
        raise SettingsError(f"the variable {name} must be JSON, such as {_EXAMPLES[kind]}") from None


def _unknown(name: str) -> SettingsError:
    return SettingsError(f"the variable {name} is not a tenantgate setting; correct its name or unset it")


def _within(name: str, prefix: str, field: FieldInfo) -> SettingsError | None:
    """Return the problem of a variable for a part of a list or map, which can only be set as a whole."""
    kind = _json_kind(field)
    if kind is None:
        return None
    whole = prefix + name.removeprefix(prefix).split(DELIMITER)[0]
    return SettingsError(f"the variable {name} names a part of a {kind}; set {whole} as JSON, or use a settings file")


def _json_kind(field: FieldInfo) -> str | None:
    """Return whether a variable holds a JSON list or object; None for plain text."""
    if _section(field):
        return "object"
    kinds = {getattr(one, "__name__", "") for one in _origins(field.annotation)}
    if kinds & {"tuple", "list"}:
        return "list of sections" if any(map(_is_section, _types(field.annotation))) else "list"
    return "object" if kinds & {"dict", "Mapping"} else None


def _section(field: FieldInfo) -> type[BaseModel] | None:
    """Return the section that a setting is, optional or not; None when it is not a section."""
    found = [one for one in (field.annotation, *get_args(field.annotation)) if _is_section(one)]
    return found[0] if found and not _is_list(field.annotation) else None


def _is_section(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_list(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) in {tuple, list}


def _origins(annotation: Any) -> Iterator[Any]:
    """Yield the outermost types of an annotation: `tuple` of `tuple[str, ...] | None`."""
    origin = getattr(annotation, "__origin__", None)
    if origin in {tuple, list, dict} or getattr(origin, "__name__", "") == "Mapping":
        yield origin
    else:
        yield annotation
        for one in get_args(annotation):
            yield from _origins(one)


def _types(annotation: Any) -> Iterator[Any]:
    """Yield an annotation and all its parts."""
    yield annotation
    for one in get_args(annotation):
        yield from _types(one)
