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
    given: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in arguments.items():
        is_optional = not names.get(name, True)
        if is_optional and isinstance(value, str) and not value.strip():
            problems.append(f"{name}: an empty text is not a value; leave it out for no filter")
        elif value is not None or not is_optional:
            given[name] = _whole(value)
    try:
        # From JSON and strictly: "5" is not 5, 1 is not true, but an ISO date is a date.
        parsed = validator.validate_json(json.dumps(given), strict=True)
    except ValidationError as error:
        problems += [_explained(problem, given) for problem in error.errors(include_url=False, include_input=False)]
    else:
        if not problems:
            return parsed
    allowed = ", ".join(names) or "none"
    raise ArgumentsError(
        f"The arguments were refused and nothing was read: {'; '.join(problems)}. Allowed arguments: {allowed}."
    )


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


def _explained(problem: ErrorDetails, given: Mapping[str, Any]) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else "arguments"
    if problem["type"] == "extra_forbidden":
        return f"unknown argument {quoted(name)}"
    if problem["type"] == "too_long" and isinstance(given.get(name), str):
        # Said of characters; pydantic speaks of items.
        return f"{name}: must have at most {problem.get('ctx', {})['max_length']} characters"
    return f"{name}: {problem['msg'].removeprefix('Value error, ')}"
