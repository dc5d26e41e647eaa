"""Short descriptions of tools: the tools of many tables must not fill the model's context."""

from collections.abc import Mapping
from typing import Any, Final, cast

from server.catalog.declarations import Table
from server.catalog.periods import PERIODS
from server.catalog.texts import shortened

# Keys that only repeat limits which each call is checked against. The limit of rows stays.
_LIMITS: Final = frozenset({"minLength", "maxLength", "pattern", "description"})
_TEXT_CHARACTERS: Final = 80
_BIGINT: Final = 2**63
# Examples are enough: the error for a wrong period lists all of them.
_PERIOD: Final[dict[str, Any]] = {"type": "string", "examples": ["last_week", "last_30_days"]}


def brief_schema(schema: Mapping[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the schema of the arguments with `texts` as their only descriptions."""
    properties = cast("Mapping[str, Mapping[str, Any]]", schema.get("properties", {}))
    brief = {name: _argument(argument, texts.get(name)) for name, argument in properties.items()}
    return {"type": "object", "properties": brief}


def brief_text(what: str, description: str | None) -> str:
    """Return a tool's description: what it does, then what its table holds."""
    return f"{what} {description}" if description else what


def column_texts(table: Table) -> dict[str, str]:
    """Return short descriptions of the columns that can be filtered, from the declaration."""
    return {
        name: shortened(text, _TEXT_CHARACTERS)
        for name, column in table.columns.items()
        if column.filter and (text := column.filter_description or column.description)
    }


def _argument(argument: Mapping[str, Any], text: str | None) -> dict[str, Any]:
    kept = {key: value for key, value in argument.items() if key not in _LIMITS and not _says_nothing(key, value)}
    if "anyOf" in kept:
        kept["anyOf"] = [one for one in kept["anyOf"] if one != {"type": "null"}]
    if kept.get("enum") == list(PERIODS):
        kept = dict(_PERIOD)
    if "enum" in kept or "const" in kept:
        del kept["type"]
    return kept | {"description": text} if text else kept


def _says_nothing(key: str, value: Any) -> bool:
    if key == "default":
        return value is None
    return (key == "minimum" and value in {1, -_BIGINT}) or (key == "maximum" and value == _BIGINT - 1)
