"""One result of Bedrock's Retrieve as a passage of a document store; whatever cannot be read is left out."""

import sys
from collections.abc import Mapping
from typing import Any, Final, TypeGuard, cast
from urllib.parse import unquote, urlsplit

from server.documents.bedrock.labels import RESERVED_PREFIXES
from server.documents.store import Found

# Bedrock sends the number of a PDF's page as a float, such as 12.0.
_PAGE: Final = "x-amz-bedrock-kb-document-page-number"
_LAST_PAGE: Final = 1_000_000_000


def found_in(result: Mapping[str, Any]) -> Found:
    """Return the passage of one result (KnowledgeBaseRetrievalResult), whatever types it has inside."""
    metadata = _object(result.get("metadata"))
    text = _object(result.get("content")).get("text")
    score = result.get("score")
    return Found(
        text=text if isinstance(text, str) else "",
        labels={key: value for key, value in metadata.items() if not key.startswith(RESERVED_PREFIXES)},
        path=_path(result),
        score=float(score) if _is_number(score) else None,
        page=_page(metadata.get(_PAGE)),
    )


def _path(result: Mapping[str, Any]) -> tuple[str, ...]:
    """Return where the document is, from whichever kind of source it came; () when no address has a last part."""
    places = [*_object(result.get("location")).values(), {"id": result.get("documentId")}]
    addresses = [address for place in places for address in _object(place).values() if isinstance(address, str)]
    return next((path for address in addresses if (path := _parts(address))), ())


def _parts(address: str) -> tuple[str, ...]:
    """Return the bucket or host and the parts of the path; () when there is no path."""
    try:
        place = urlsplit(address)
    except ValueError:  # such as a bracket where a host should be
        return ()
    path = tuple(unquote(part) for part in place.path.split("/") if part)
    owner = place.netloc.rpartition("@")[2]  # without a name and password
    return (owner, *path) if owner and path else path


def _page(value: Any) -> int | None:
    whole = _is_number(value) and 0 <= value <= _LAST_PAGE and value == int(value)
    return int(value) if whole else None


def _is_number(value: Any) -> TypeGuard[int | float]:
    """Whether this is a number that a float can hold; a boolean is not one."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _object(node: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", node) if isinstance(node, dict) else {}
