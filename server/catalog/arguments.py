"""Parse a caller's arguments strictly: wrong ones are named and refused, never dropped or converted."""

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
# Limits of the error message: thousands of wrong arguments must not make it longer.
_PROBLEMS: Final = 8
_PROBLEM_CHARACTERS: Final = 400
_BYTES: Final = 2_300
_LISTED_CHARACTERS: Final = 1_000
# Up to here a float represents every integer exactly (IEEE 754).
_EXACT: Final = 2**53
# The remedy when a caller sends a text in place of another type.
_NOT_A_TEXT: Final = {
    "int_type": "without quotation marks",
    "float_type": "without quotation marks",
    "bool_type": "without quotation marks",
    "list_type": "not a text that contains one",
    "dict_type": "not a text that contains one",
}
# Replacements for pydantic's messages that mention Python types.
_SENTENCES: Final = {
    "decimal_type": "Input should be a number, or a text that contains one",
    "decimal_parsing": "Input should be a valid number",
}


def parse(validator: SchemaValidator, names: Mapping[str, bool], arguments: Mapping[str, Any]) -> Any:
    """Return the validated arguments; raises ArgumentsError that names each wrong argument, but never its value.

    `names` are the allowed arguments, and whether each is required. Null for an optional argument means its default,
    and 10.0 is 10, as in JSON Schema.
    """
    unknown = [name for name in arguments if name not in names]
    left_out = frozenset(unknown[_PROBLEMS:])
    given = {
        name: _whole(value)
        for name, value in arguments.items()
        if name not in left_out and (value is not None or names.get(name, True))
    }
    unsaid = len(left_out)
    # JSON allows 1e400, which becomes infinity as a float.
    problems = [f"{_named(name)}: Input should be a finite number" for name in given if not _is_finite(given[name])]
    if not problems:
        try:
            # Strict mode on JSON: "5" is not 5 and 1 is not true, but the text of an ISO date is a date.
            return validator.validate_json(_as_json(given), strict=True)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False)
            problems = [_explained(problem, names, given) for problem in found[:_PROBLEMS]]
            unsaid += len(found) - len(problems)
    raise ArgumentsError(_sentence(problems, unsaid))


def listed(names: Iterable[str]) -> str:
    """Return names as a list for a sentence, as many as fit."""
    shown: list[str] = []
    room, known = _LISTED_CHARACTERS, list(names)
    for name in known:
        room -= len(name) + 2
        if room < 0:
            return f"{', '.join(shown)} and {len(known) - len(shown)} more"
        shown.append(name)
    return ", ".join(shown) or "none"


def quoted(name: str) -> str:
    """Return a word of the caller, short and printable, so that it cannot forge a line of the log."""
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
    """Return the message for the caller: the first problems, and how many more there are."""
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
        # For a text that a function has already checked, pydantic's message counts items, not characters.
        limit = problem.get("ctx", {})
        said = f"at most {limit['max_length']}" if kind == "too_long" else f"at least {limit['min_length']}"
        return f"{name}: must have {said} characters"
    said = _SENTENCES.get(kind) or problem["msg"].removeprefix("Value error, ")
    if isinstance(value, str) and not value.strip() and not names.get(name, True):
        return f"{name}: {said} (leave it out for no filter)"
    # In a list, the problem concerns one item, for which the remedy would be wrong.
    remedy = f", {_NOT_A_TEXT[kind]}" if is_text and kind in _NOT_A_TEXT and len(problem["loc"]) == 1 else ""
    return f"{name}: {said}{remedy}"


def _meant(name: str, names: Mapping[str, bool]) -> str:
    """Return the name that the caller probably meant, as the end of a sentence."""
    if not names:
        return " (this takes no arguments)"
    close = get_close_matches(name[:_ECHOED_CHARACTERS].lower(), names, n=1, cutoff=0.75)
    return f" (did you mean {close[0]}?)" if close else ""
