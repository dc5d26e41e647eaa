"""Sidecars: the metadata of a document, in `<document>.metadata.json` beside it.

Source: "Include metadata in a data source" of the Amazon Bedrock Knowledge Bases guide.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from server.documents.bedrock.labels import KEY_CHARACTERS, RESERVED_PREFIXES
from server.documents.upload.attributes import (
    Attribute,
    is_boolean,
    is_number,
    is_object,
    is_string,
    is_string_list,
)
from server.documents.upload.finding import Kind

SUFFIX: Final = ".metadata.json"
MAXIMUM_BYTES: Final = 10 * 1024


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A document's attributes; `embedded` names those that are also part of its embedding."""

    attributes: dict[str, Attribute] = field(default_factory=dict[str, Attribute])
    embedded: tuple[str, ...] = ()


class SidecarError(ValueError):
    """What is wrong in a sidecar, without the file's name."""

    def __init__(self, kind: Kind, message: str) -> None:
        """Keep the kind with the message."""
        super().__init__(message)
        self.kind: Final[Kind] = kind


def parse_sidecar(content: bytes) -> tuple[Sidecar, list[SidecarError]]:
    """Return the readable part and every mistake; without a mistake, Bedrock accepts the sidecar."""
    try:
        declared = _declared(content)
    except SidecarError as error:
        return Sidecar(), [error]
    attributes: dict[str, Attribute] = {}
    embedded: list[str] = []
    errors: list[SidecarError] = []
    for key, raw in declared.items():
        try:
            _check_key(key)
            value, in_embedding = _typed(key, raw) if is_object(raw) else (raw, False)
            attributes[key] = _plain(key, value)
        except SidecarError as error:
            errors.append(error)
            continue
        if in_embedding:
            embedded.append(key)
    return Sidecar(attributes, tuple(embedded)), errors


def _declared(content: bytes) -> dict[str, Any]:
    """Return the attributes as written; raise SidecarError when this is not a sidecar at all."""
    if len(content) > MAXIMUM_BYTES:
        raise SidecarError("oversized-sidecar", "it is larger than 10 KB")
    try:
        document: Any = json.loads(content.decode("utf-8-sig"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except SidecarError:
        raise
    except (ValueError, RecursionError) as error:
        raise SidecarError("invalid-json", "it is not JSON in UTF-8") from error
    declared: Any = document.get("metadataAttributes") if is_object(document) else None
    if not is_object(declared):
        raise SidecarError("wrong-shape", 'it lacks the object "metadataAttributes"')
    return declared


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse an object with the same key twice: parsers may pick different values, so the tier would be unclear."""
    document = dict(pairs)
    if len(document) != len(pairs):
        raise SidecarError("duplicate-key", "it has the same key twice")
    return document


def _no_constant(name: str) -> None:
    raise SidecarError("invalid-json", f"{name} is not a number of JSON")


def _check_key(key: str) -> None:
    if len(key) not in KEY_CHARACTERS:
        raise SidecarError("attribute-name", "an attribute's name must have 1 to 100 characters")
    if key.startswith(RESERVED_PREFIXES):
        raise SidecarError(
            "reserved-name", f'the attribute "{key}" has a reserved prefix ({", ".join(RESERVED_PREFIXES)})'
        )


def _plain(key: str, value: Any) -> Attribute:
    """Return the value when it has one of the four types of an attribute."""
    if any(accepts(value) for _, accepts in TYPES.values()) and all(map(_is_text, _texts(key, value))):
        return value
    raise SidecarError(
        "attribute-type", f'the attribute "{key}" must be a string, a number, a boolean or a list of strings'
    )


def _texts(key: str, value: Any) -> Iterator[str]:
    yield key
    yield from (value if isinstance(value, list) else [value] if isinstance(value, str) else [])


def _is_text(text: str) -> bool:
    """Whether the text can be sent: JSON can contain half of a surrogate pair, UTF-8 cannot."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _typed(key: str, raw: dict[str, Any]) -> tuple[Any, bool]:
    """Read `{"value": {"type": …, "stringValue": …}, "includeForEmbedding": …}`."""
    value: Any = raw.get("value")
    in_embedding: Any = raw.get("includeForEmbedding", False)
    if raw.keys() - {"value", "includeForEmbedding"} or not is_object(value) or not is_boolean(in_embedding):
        raise SidecarError(
            "typed-value", f'the attribute "{key}" must have a "value" object and a boolean "includeForEmbedding"'
        )
    member, accepts = TYPES.get(str(value.get("type")), ("", _never))
    if value.keys() != {"type", member} or not accepts(value[member]):
        allowed = ", ".join(f"{name} with {member}" for name, (member, _) in TYPES.items())
        raise SidecarError("typed-value", f'the value of "{key}" must be one of {allowed}')
    return value[member], in_embedding


def _never(value: Any) -> bool:  # noqa: ARG001  # stands for a type that does not exist
    return False


TYPES: Final[dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "STRING": ("stringValue", is_string),
    "NUMBER": ("numberValue", is_number),
    "BOOLEAN": ("booleanValue", is_boolean),
    "STRING_LIST": ("stringListValue", is_string_list),
}
