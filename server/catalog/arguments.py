"""A caller's arguments, read strictly: what does not fit is named and refused, never dropped or converted."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import SchemaValidator

from server.errors import ArgumentsError

_ECHOED_CHARACTERS: Final = 64


def parse(validator: SchemaValidator, names: Sequence[str], arguments: Mapping[str, Any]) -> Any:
    """Return what `validator` makes of the arguments; raises ArgumentsError that names each wrong one, never its value.

    `names` are the arguments that are allowed.
    """
    try:
        # From JSON and strictly: "5" is not 5, 1 is not true, but an ISO date is a date.
        return validator.validate_json(json.dumps(arguments), strict=True)
    except ValidationError as error:
        raise ArgumentsError(_explained(names, error)) from None


def quoted(name: str) -> str:
    """Return a caller's own word, short and printable, so that it cannot forge a line."""
    return ascii(name[:_ECHOED_CHARACTERS])


def _explained(names: Sequence[str], error: ValidationError) -> str:
    sentences: list[str] = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        name = str(problem["loc"][0]) if problem["loc"] else "arguments"
        if problem["type"] == "extra_forbidden":
            sentences.append(f"unknown argument {quoted(name)}")
        else:
            sentences.append(f"{name}: {problem['msg'].removeprefix('Value error, ')}")
    allowed = ", ".join(names) or "none"
    return f"The arguments were refused and nothing was read: {'; '.join(sentences)}. Allowed arguments: {allowed}."
