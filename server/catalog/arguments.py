"""A caller's arguments, read strictly: what does not fit is named and refused, never dropped or converted."""

import json
import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails, SchemaValidator, to_json

from server.catalog.texts import shortened
from server.errors import ArgumentsError

_ECHOED_CHARACTERS: Final = 64
# How much is said: more would not help, and whoever sends thousands of wrong arguments gets no longer answer.
_PROBLEMS: Final = 8
_PROBLEM_CHARACTERS: Final = 400
_BYTES: Final = 2_300
_LISTED_CHARACTERS: Final = 1_000
# Up to here every integer is a float of its own (IEEE 754), so no digit is made up.
_EXACT: Final = 2**53
# What a text cannot be, although it often looks like it.
_NOT_A_TEXT: Final = {
    "int_type": "without quotation marks",
    "float_type": "without quotation marks",
    "bool_type": "without quotation marks",
    "list_type": "not a text that holds one",
    "dict_type": "not a text that holds one",
}
# Where pydantic's own words speak of Python.
_SENTENCES: Final = {
    "decimal_type": "Input should be a number, or a text that holds one",
    "decimal_parsing": "Input should be a valid number",
}


def parse(validator: SchemaValidator, names: Mapping[str, bool], arguments: Mapping[str, Any]) -> Any:
    """Return what `validator` makes of the arguments; raises ArgumentsError that names each wrong one, never its value.

    `names` are the arguments that are allowed, and whether each is required. Null for one that is not required stands
    for its default, and 10.0 is 10, as in JSON Schema.
    """
    unknown = [name for name in arguments if name not in names]
    left_out = frozenset(unknown[_PROBLEMS:])
    given = {
        name: _whole(value)
        for name, value in arguments.items()
        if name not in left_out and (value is not None or names.get(name, True))
    }
    unsaid = len(left_out)
    # JSON has 1e400, which is no number of a computer's.
    problems = [f"{_named(name)}: Input should be a finite number" for name in given if not _is_finite(given[name])]
    if not problems:
        try:
            # From JSON and strictly: "5" is not 5, 1 is not true, but an ISO date is a date.
            return validator.validate_json(_as_json(given), strict=True)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            problems = [_explained(problem, names, given) for problem in found[:_PROBLEMS]]
            unsaid += len(found) - len(problems)
    raise ArgumentsError(_sentence(problems, unsaid))


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


def _is_finite(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_finite, cast("list[Any]", value)))
    if isinstance(value, dict):
        return all(map(_is_finite, cast("dict[str, Any]", value).values()))
    return not isinstance(value, float) or math.isfinite(value)


def _as_json(given: Mapping[str, Any]) -> bytes | str:
    try:
        return to_json(given)
    except ValueError:  # half of a surrogate pair, which the validator refuses
        return json.dumps(given)


def _sentence(problems: list[str], unsaid: int) -> str:
    """Return what the caller reads: the first problems, and how many more there are."""
    named = [shortened(problem, _PROBLEM_CHARACTERS) for problem in problems[:_PROBLEMS]]
    more = len(problems) - len(named) + unsaid
    text = f"The arguments were refused and nothing was read: {'; '.join(named)}"
    cut = text.encode()[:_BYTES].decode(errors="ignore")
    return f"{cut}{f'; and {more} more' if more else ''}."


def _named(name: str) -> str:
    return name if name.isidentifier() and len(name) <= _ECHOED_CHARACTERS else quoted(name)


def _explained(problem: ErrorDetails, names: Mapping[str, bool], given: Mapping[str, Any]) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else "arguments"
    if problem["type"] == "extra_forbidden":
        return f"unknown argument {quoted(name)}{_meant(name, names)}"
    value = given.get(name)
    is_text = isinstance(value, str)
    kind = problem["type"]
    if is_text and kind in {"too_long", "too_short"}:
        # Of a text that a function has checked already, pydantic counts items.
        limit = problem.get("ctx", {})
        said = f"at most {limit['max_length']}" if kind == "too_long" else f"at least {limit['min_length']}"
        return f"{name}: must have {said} characters"
    said = _SENTENCES.get(kind) or problem["msg"].removeprefix("Value error, ")
    if isinstance(value, str) and not value.strip() and not names.get(name, True):
        return f"{name}: {said} (leave it out for no filter)"
    # Of a list, the problem is one of its items.
    remedy = f", {_NOT_A_TEXT[kind]}" if is_text and kind in _NOT_A_TEXT and len(problem["loc"]) == 1 else ""
    return f"{name}: {said}{remedy}"


def _meant(name: str, names: Mapping[str, bool]) -> str:
    """Return the argument that was probably meant, as the end of a sentence."""
    if not names:
        return " (this takes no arguments)"
    close = get_close_matches(name[:_ECHOED_CHARACTERS].lower(), names, n=1, cutoff=0.75)
    return f" (did you mean {close[0]}?)" if close else ""
