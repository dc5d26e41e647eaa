"""The results of declared tools: their JSON Schemas."""

from collections.abc import Mapping
from typing import Any, Final

from server.catalog.columns import TEXT_CHARACTERS, Column
from server.catalog.declarations import ResultColumn

_JSON_TYPES: Final[Mapping[str, dict[str, Any]]] = {"integer": {"type": "integer"}, "boolean": {"type": "boolean"}}
_FORMS: Final[Mapping[str, str]] = {
    "decimal": "A decimal string.",
    "date": "YYYY-MM-DD.",
    "timestamp": "ISO 8601, UTC.",
}


def object_of(
    fields: Mapping[str, Any],
    description: str,
    *,
    optional: Mapping[str, Any] | None = None,
    defs: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the schema of an object with all of `fields` required, and those of `optional` allowed."""
    properties = {**fields, **(optional or {})}
    schema = {"type": "object", "description": description, "properties": properties, "required": list(fields)}
    return {"$defs": defs, **schema} if defs else schema


def nullable(kind: str, description: str | None = None) -> dict[str, Any]:
    """Return the schema of a value that may be null."""
    schema: dict[str, Any] = {"anyOf": [{"type": kind}, {"type": "null"}]}
    return schema | {"description": description} if description else schema


def row_schema(columns: Mapping[str, Column | ResultColumn], what: str) -> dict[str, Any]:
    """Return the schema of one row."""
    return object_of({name: _column_schema(column) for name, column in columns.items()}, what)


def _column_schema(column: Column | ResultColumn) -> dict[str, Any]:
    kind = column.type.removesuffix("[]")
    value = {} if kind == "json" else dict(_JSON_TYPES.get(kind, {"type": "string"}))
    if column.type.endswith("[]"):
        # In PostgreSQL, the elements of every array can be NULL.
        value = {"type": "array", "items": {"anyOf": [value, {"type": "null"}]} if value else value}
    if value and (isinstance(column, ResultColumn) or column.nullable):
        value = {"anyOf": [value, {"type": "null"}]}
    text = _description(column, kind)
    return value | {"description": text} if text else value


def _description(column: Column | ResultColumn, kind: str) -> str:
    parts = [column.description or ""]
    if kind == "text" and (column.max_length or not (isinstance(column, Column) and column.values)):
        parts.append(f"Cut at {column.max_length or TEXT_CHARACTERS} characters.")
    parts.append(_FORMS.get(kind, ""))
    return " ".join(part for part in parts if part)
