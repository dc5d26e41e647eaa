"""Texts of arguments and results without control characters, and readable schemas and names."""

import re
from typing import Any, Final, cast

# The line ends of different systems.
_LINE_ENDS: Final = re.compile(r"\r\n|[\r\x0b\x0c]")
# Control characters, lone surrogates, and the bidirectional controls, which change the order of displayed text.
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return `text` with LF for every line end; raise ValueError when it contains other control characters."""
    if text.isprintable():
        return text
    text = _LINE_ENDS.sub("\n", text)
    if _UNPRINTABLE.search(text):
        raise ValueError("must not contain control characters; remove them")
    return text


def readable(text: str) -> str:
    """Return a `text` from a row or a document with LF for every line end.

    Characters that could move the screen's cursor or reorder a line become U+FFFD.
    """
    # Most texts are plain, and this check is ten times faster than a pattern.
    if text.isprintable():
        return text
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", _LINE_ENDS.sub("\n", text))


def readable_in(value: Any) -> Any:
    """Return a JSON value with every text in it made readable, keys included."""
    if isinstance(value, str):
        return readable(value)
    if isinstance(value, list):
        return [readable_in(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {readable(key): readable_in(item) for key, item in cast("dict[str, Any]", value).items()}
    return value


def shortened(text: str, characters: int) -> str:
    """Return at most `characters` characters of `text`; a cut text ends with an ellipsis."""
    return text if len(text) <= characters else text[: characters - 1] + "…"


def titled(name: str) -> str:
    """Return a title for a tool without a declared one: `query_orders` → `Query orders`."""
    return name.replace("_", " ").replace("-", " ").capitalize()


def plain_schema(node: Any) -> Any:
    """Return a JSON Schema that is easier for a model: no generated titles, no `null` for optional arguments."""
    if isinstance(node, list):
        return [plain_schema(item) for item in cast("list[Any]", node)]
    if not isinstance(node, dict):
        return node
    given = cast("dict[str, Any]", node)
    plain = {key: plain_schema(value) for key, value in given.items() if not _is_noise(key, value)}
    alternatives = [kind for kind in plain.get("anyOf", ()) if kind != {"type": "null"}]
    if len(alternatives) == 1 and plain.get("default", ...) is None:
        del plain["anyOf"], plain["default"]
        plain = alternatives[0] | plain
    return plain


def _is_noise(key: str, value: Any) -> bool:
    # A property may be called `title`; then its value is a schema, not a string.
    return key == "title" and isinstance(value, str)
