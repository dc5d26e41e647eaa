"""Texts on their way in and out: what may not be in them, how schemas and names read."""

import re
from typing import Any, Final, cast

# What ends a line in one system or another.
_LINE_ENDS: Final = re.compile(r"\r\n|[\r\x0b\x0c]")
# Control characters, lone surrogates, and the bidirectional controls that reorder what a person reads.
_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Return `text` with LF for every end of a line; raise ValueError when it holds other control characters."""
    if text.isprintable():
        return text
    text = _LINE_ENDS.sub("\n", text)
    if _UNPRINTABLE.search(text):
        raise ValueError("must hold no control characters")
    return text


def readable(text: str) -> str:
    """Return `text` out of a row or a document, with LF for every end of a line.

    What could move a cursor or reorder a line is U+FFFD.
    """
    # Most texts are plain, and this tells it ten times faster than a pattern does.
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
    """Return at most `characters` of `text`; one that is cut ends with an ellipsis."""
    return text if len(text) <= characters else text[: characters - 1] + "…"


def titled(name: str) -> str:
    """Return a title for a tool that declares none: `query_orders` → `Query orders`."""
    return name.replace("_", " ").replace("-", " ").capitalize()


def plain_schema(node: Any) -> Any:
    """Return a JSON Schema as a language model reads it best: no generated titles, no `or null` for optional."""
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
