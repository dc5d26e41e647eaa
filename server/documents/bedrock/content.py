"""The content of one result as text, for every kind: TEXT, ROW, AUDIO, VIDEO or IMAGE.

Source: RetrievalResultContent of the Agents for Amazon Bedrock Runtime API.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

# Shown for a binary value, which a reader could not use.
_BINARY: Final = "(binary)"
_NULL: Final = "NULL"


def text_of(content: Any) -> str:
    """Return the content's text: a row as lines of `column: value`, a recording as its transcription or summary.

    It is empty when there is no text, as for an image. The actual content decides, not its declared kind.
    """
    known = as_object(content)
    candidates = (
        known.get("text"),
        _row(known.get("row")),
        as_object(known.get("audio")).get("transcription"),
        as_object(known.get("video")).get("summary"),
    )
    return next((text for text in candidates if isinstance(text, str) and text.strip()), "")


def recording_address(content: Any) -> str | None:
    """Return where the recording of an AUDIO or VIDEO result is."""
    known = as_object(content)
    addresses = (as_object(known.get(kind)).get("s3Uri") for kind in ("audio", "video"))
    return next((address for address in addresses if isinstance(address, str)), None)


def as_object(node: Any) -> Mapping[str, Any]:
    """Return a JSON object, or an empty one for anything else."""
    return cast("Mapping[str, Any]", node) if isinstance(node, dict) else {}


def _row(row: Any) -> str:
    columns = map(as_object, cast("list[Any]", row)) if isinstance(row, list) else ()
    return "\n".join(line for column in columns if (line := _column(column)))


def _column(column: Mapping[str, Any]) -> str:
    name, value = column.get("columnName"), _value(column)
    if value is None:
        return ""
    return f"{name}: {value}" if isinstance(name, str) and name else value


def _value(column: Mapping[str, Any]) -> str | None:
    """Return the value as text; None when the service has no such type."""
    kind, value = column.get("type"), column.get("columnValue")
    if kind == "NULL" or value is None:
        return _NULL
    if kind == "BLOB":
        return _BINARY
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None
