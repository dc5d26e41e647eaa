"""JSON in ASCII alone, for lines that people look at in a terminal: nothing in it can move a cursor."""

from collections.abc import Callable
from typing import Any

from pydantic_core import to_json


def ascii_json(value: Any, fallback: Callable[[Any], Any]) -> bytes:
    """Return `value` as JSON with everything beyond ASCII escaped; `fallback` converts what JSON has no form for.

    Raises ValueError for half of a surrogate pair.
    """
    # Escaping costs four times as much as writing, and most texts have nothing to escape.
    text = to_json(value, fallback=fallback)
    return text if text.isascii() else to_json(value, ensure_ascii=True, fallback=fallback)
