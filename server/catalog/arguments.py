"""A caller's arguments, read strictly: what does not fit is named and refused, never dropped or converted."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails, SchemaValidator

from server.errors import ArgumentsError

_ECHOED_CHARACTERS: Final = 64
# How much of what is wrong one answer names, so that no answer of failure is longer than 4 KiB.
_EXPLAINED: Final = 20
_NAMED: Final = 8
_LISTED_CHARACTERS: Final = 1_000
# Up to here every integer is a float of its own (IEEE 754), so no digit is made up.
_EXACT: Final = 2**53


def parse(validator: SchemaValidator, names: Mapping[str, bool], arguments: Mapping[str, Any]) -> Any:
    """Return what `validator` makes of the arguments; raises ArgumentsError that names each wrong one, never its value.

    `names` are the arguments that are allowed, and whether each is required. Null for one that is not required stands
    for its default, and 10.0 is 10, as in JSON Schema.
    """
    given = {
        name: _whole(value) for name, value in arguments.items() if name in names and (value is not None or names[name])
    }
    # Apart from the others: to explain 27,000 of them, pydantic takes 84 ms.
    unknown = [name for name in arguments if name not in names]
    problems: list[str] = []
    try:
        # From JSON and strictly: "5" is not 5, 1 is not true, but an ISO date is a date.
        parsed = validator.validate_json(json.dumps(given), strict=True)
        if not unknown:
            return parsed
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        problems = [_explained(problem, names, given) for problem in found[:_EXPLAINED]]
    named = [f"unknown argument {quoted(name)}" for name in unknown[:_NAMED]]
    more = len(unknown) - len(named)
    told = "; ".join([*problems, *named, *([f"and {more} more unknown arguments"] if more else [])])
    raise ArgumentsError(
        f"The arguments were refused and nothing was read: {told}. Allowed arguments: {listed(names)}."
    )


def listed(names: Iterable[str]) -> str:
    """Return names for a sentence, as many as have room in it."""
    shown: list[str] = []
    room, known = _LISTED_CHARACTERS, list(names)
    for name in known:
        room -= len(name) + 2
        if room < 0:
            return f"{', '.join(shown)} and {len(known) - len(shown)} more"
        shown.append(name)
    return ", ".join(shown) or "none"


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
    value = given.get(name)
    if problem["type"] == "too_long" and isinstance(value, str):
        # Of a text that a function has checked already, pydantic counts items.
        return f"{name}: must have at most {problem.get('ctx', {})['max_length']} characters"
    is_blank = isinstance(value, str) and not value.strip()
    remedy = " (leave it out for no filter)" if is_blank and not names.get(name, True) else ""
    return f"{name}: {problem['msg'].removeprefix('Value error, ')}{remedy}"
