"""Metadata attributes: the four types that Bedrock knows, for side-cars and filters alike."""

import math
from collections.abc import Mapping
from typing import Any, Final, TypeAlias, TypeGuard

Attribute: TypeAlias = str | int | float | bool | list[str]
Metadata: TypeAlias = Mapping[str, Attribute]

KEY_CHARACTERS: Final = range(1, 101)


def is_string(value: Any) -> TypeGuard[str]:
    """Tell a STRING."""
    return isinstance(value, str)


def is_number(value: Any) -> TypeGuard[int | float]:
    """Tell a NUMBER; in Python a boolean is an integer, in metadata it is not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_boolean(value: Any) -> TypeGuard[bool]:
    """Tell a BOOLEAN."""
    return isinstance(value, bool)


def is_string_list(value: Any) -> TypeGuard[list[str]]:
    """Tell a STRING_LIST, which has at least one member."""
    return is_list(value) and bool(value) and all(map(is_string, value))


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Tell a JSON array."""
    return isinstance(value, list)


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Tell a JSON object."""
    return isinstance(value, dict)
