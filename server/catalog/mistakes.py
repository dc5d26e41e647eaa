"""The mistakes in one file of the catalog, one line per mistake: where it is, what is wrong, the remedy."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from pydantic import ValidationError

from server.catalog.declarations import TOOL_NAME
from server.settings import SCOPE

# Parts of pydantic's locations that are not keys of a file: alternatives of a union and `[key]`.
_NO_KEY: Final = re.compile(
    r"^(Through|literal\[.*|bool|int|float|str|tuple\[.*|function-.*|dict\[.*|constrained-.*|\[key\])$"
)
# One message in place of pydantic's message for each alternative.
_ALTERNATIVES: Final[Mapping[str, str]] = {
    "filter": 'must be true, false, "contains" or "range"',
    "group": 'must be true, false, or a list of "day", "week", "month" and "year"',
    "tenant": 'must be a column\'s name, or { through = "its foreign key", parent = "schema.table" }',
    "labels": "must be a list of names, or a table with a text for each name",
    "default": "must be a text, a number, true or false; a date is a text, and a list has no default",
    "minimum": "must be a number",
    "maximum": "must be a number",
}
_TYPES: Final[Mapping[str, str]] = {
    "missing": "is missing; add it",
    "extra_forbidden": "is not a key of the catalog; correct its name or remove it",
    "tuple_type": 'must be a list, such as ["a", "b"]',
    "string_type": "must be a text in quotes",
    "string_too_short": "is empty; write something or remove it",
    "too_short": "is empty; declare at least one",
    "finite_number": "must be a number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "model_type": "must be a table of keys, in braces or under a header of its own",
    "dict_type": "must be a table of keys, in braces or under a header of its own",
}


def mistakes_of(content: Mapping[str, Any], error: ValidationError) -> list[str]:
    """Return a line for each mistake; for a key with alternatives, only the most specific mistake."""
    found = [(_place(content, problem["loc"]), problem) for problem in error.errors(include_url=False)]
    places = {place for place, _ in found}
    lines: list[str] = []
    for place, problem in found:
        several = sum(place == other for other, _ in found) > 1
        if any(other.startswith(f"{place}.") for other in places):
            continue
        last = place.rpartition(".")[2].rpartition(" ")[2]
        lines.append(f"{place}: {_ALTERNATIVES[last] if several and last in _ALTERNATIVES else _sentence(problem)}")
    return sorted(set(lines))


def without_mistakes(content: Mapping[str, Any], error: ValidationError) -> dict[str, Any]:
    """Return the correct entries, so that mistakes across entries are found in the same run."""
    wrong = {tuple(problem["loc"][:2]) for problem in error.errors(include_url=False)}
    return {
        str(kind): [one for place, one in enumerate(cast("list[Any]", entries)) if (kind, place) not in wrong]
        for kind, entries in content.items()
        if isinstance(entries, list) and not any(one in wrong for one in ((kind,), (kind, "")))
    }


def _place(content: Mapping[str, Any], location: Sequence[int | str]) -> str:
    """Return the place of a mistake in a file, such as `table shop.orders: columns.amount.type`."""
    kind, *rest = location
    entry: Any = content.get(str(kind))
    keys = [str(part) for part in rest if not _NO_KEY.match(str(part))]
    if rest and isinstance(rest[0], int) and isinstance(entry, list):
        number = int(rest[0])
        item = cast("list[Any]", entry)[number]
        named = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
        name = named.get("name") or named.get("tool") or f"number {number + 1}"
        return f"{kind} {name}: {'.'.join(keys[1:])}" if keys[1:] else f"{kind} {name}"
    return ".".join([str(kind), *keys])


def _sentence(problem: Any) -> str:
    kind, context = str(problem["type"]), cast("Mapping[str, Any]", problem.get("ctx", {}))
    said = str(problem["msg"]).removeprefix("Value error, ")
    match kind:
        case "tuple_type" if len(problem["loc"]) == 1:
            said = f"is a list of entries; write [[{problem['loc'][0]}]] with two brackets on each side"
        case "literal_error":
            said = f"must be one of {context['expected']}; correct it"
        case "string_pattern_mismatch":
            said = _FORMS.get(context["pattern"], f"does not have the form {context['pattern']}; correct it")
        case "greater_than_equal":
            said = f"must be at least {context['ge']}"
        case "less_than_equal":
            said = f"must be at most {context['le']}"
        case "string_too_long":
            said = f"must have at most {context['max_length']} characters"
        case _:
            said = _TYPES.get(kind, said)
    return said


_FORMS: Final[Mapping[str, str]] = {
    TOOL_NAME: "must begin with a letter and have contain only letters, digits, _ and -, at most 64",
    "^[A-Za-z][A-Za-z0-9_]{0,62}$": "must begin with a letter and have contain only letters, digits and _, at most 63",
    SCOPE: "must be one scope, without blanks, quotes or backslashes, such as orders:read",
    "^-?[A-Za-z][A-Za-z0-9_]*$": 'must be the name of a declared column, with a "-" in front for descending',
    "^[A-Za-z0-9_+/-]{1,64}$": "must be the name of a time zone, such as Europe/Berlin or UTC",
}
