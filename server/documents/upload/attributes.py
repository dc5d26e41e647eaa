"""Metadata attributes: the four types that Bedrock knows, for both sidecars and filters."""

import math
from collections.abc import Mapping
from typing import Any, TypeAlias, TypeGuard

Attribute: TypeAlias = str | int | float | bool | list[str]
Metadata: TypeAlias = Mapping[str, Attribute]


def is_string(value: Any) -> TypeGuard[str]:
    """Whether this is a STRING."""
    return isinstance(value, str)


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether this is a NUMBER; a boolean is an integer in Python, but not in metadata."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_boolean(value: Any) -> TypeGuard[bool]:
    """Whether this is a BOOLEAN."""
    return isinstance(value, bool)


def is_string_list(value: Any) -> TypeGuard[list[str]]:
    """Whether this is a STRING_LIST, which has at least one member."""
    return is_list(value) and bool(value) and all(map(is_string, value))


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether this is a JSON array."""
    return isinstance(value, list)


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether this is a JSON object."""
    return isinstance(value, dict)
