"""A caller's arguments, read strictly: what does not fit is named and refused, never dropped or converted."""

import json
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from server.errors import ArgumentsError

_ECHOED_CHARACTERS: Final = 64


def parse(model: type[BaseModel], arguments: dict[str, Any]) -> Any:
    """Return the arguments as the model; raise ArgumentsError that names each wrong one, never its value."""
    try:
        # From JSON and strictly: "5" is not 5, 1 is not true, but an ISO date is a date.
        return model.model_validate_json(json.dumps(arguments), strict=True)
    except ValidationError as error:
        raise ArgumentsError(_explained(model, error)) from None


def quoted(name: str) -> str:
    """Return a caller's own word, short and printable, so that it cannot forge a line."""
    return ascii(name[:_ECHOED_CHARACTERS])


def _explained(model: type[BaseModel], error: ValidationError) -> str:
    sentences: list[str] = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        name = str(problem["loc"][0]) if problem["loc"] else "arguments"
        if problem["type"] == "extra_forbidden":
            sentences.append(f"unknown argument {quoted(name)}")
        else:
            sentences.append(f"{name}: {problem['msg'].removeprefix('Value error, ')}")
    allowed = ", ".join(model.model_fields) or "none"
    return f"The arguments were refused and nothing was read: {'; '.join(sentences)}. Allowed arguments: {allowed}."
