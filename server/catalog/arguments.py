"""A caller's arguments, read strictly: what does not fit is named and refused, never dropped or converted."""

import json
from collections.abc import Mapping
from typing import Any, Final, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails, SchemaValidator

from server.errors import ArgumentsError

_ECHOED_CHARACTERS: Final = 64
# Up to here every integer is a float of its own (IEEE 754), so no digit is made up.
_EXACT: Final = 2**53


def parse(validator: SchemaValidator, names: Mapping[str, bool], arguments: Mapping[str, Any]) -> Any:
    """Return what `validator` makes of the arguments; raises ArgumentsError that names each wrong one, never its value.

    `names` are the arguments that are allowed, and whether each is required. Null for one that is not required stands
    for its default, and 10.0 is 10, as in JSON Schema.
    """
    given = {name: _whole(value) for name, value in arguments.items() if value is not None or names.get(name, True)}
    try:
        # From JSON and strictly: "5" is not 5, 1 is not true, but an ISO date is a date.
        return validator.validate_json(json.dumps(given), strict=True)
    except ValidationError as error:
        problems = "; ".join(_explained(problem, names, given) for problem in error.errors(include_url=False))
        allowed = ", ".join(names) or "none"
    raise ArgumentsError(f"The arguments were refused and nothing was read: {problems}. Allowed arguments: {allowed}.")


def quoted(name: str) -> str:
    """Return a caller's own word, short and printable, so that it cannot forge a line."""
    return ascii(name[:_ECHOED_CHARACTERS])


def _whole(value: Any) -> Any:
    """Return a number without a fraction as an integer, in lists and objects too."""
    if isinstance(value, float):
        return int(value) if value.is_integer() and abs(value) <= _EXACT else value
    if isinstance(value, list):
        return [_whole(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {key: _whole(item) for key, item in cast("dict[str, Any]", value).items()}
    return value


def _explained(problem: ErrorDetails, names: Mapping[str, bool], given: Mapping[str, Any]) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else "arguments"
    if problem["type"] == "extra_forbidden":
        return f"unknown argument {quoted(name)}"
    value = given.get(name)
    if problem["type"] == "too_long" and isinstance(value, str):
        # Of a text that a function has checked already, pydantic counts items.
        return f"{name}: must have at most {problem.get('ctx', {})['max_length']} characters"
    is_blank = isinstance(value, str) and not value.strip()
    remedy = " (leave it out for no filter)" if is_blank and not names.get(name, True) else ""
    return f"{name}: {problem['msg'].removeprefix('Value error, ')}{remedy}"
