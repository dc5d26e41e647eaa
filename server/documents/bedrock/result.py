"""One result of Bedrock's Retrieve as a passage of a document store; unreadable parts are left out."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeGuard
from urllib.parse import SplitResult, unquote, urlsplit

from server.documents.bedrock.content import as_object, recording_address, text_of
from server.documents.bedrock.labels import RESERVED_PREFIXES
from server.documents.store import FoundPassage

# A PDF's page number, a float such as 12.0: in a vector store, and in a Kendra index.
_PAGES: Final = ("x-amz-bedrock-kb-document-page-number", "_excerpt_page_number")
# The document's address when `location` does not have it: in a vector store, and in a managed knowledge base.
_SOURCES: Final = ("x-amz-bedrock-kb-source-uri", "_source_uri")
_LAST_PAGE: Final = 1_000_000_000


def found_in(result: Mapping[str, Any]) -> FoundPassage:
    """Return the passage of one result (KnowledgeBaseRetrievalResult), whatever types its values have."""
    metadata = as_object(result.get("metadata"))
    score = result.get("score")
    address = next((one for one in _addresses(result) if _parts(one)), "")
    return FoundPassage(
        text=text_of(result.get("content")),
        labels={key: value for key, value in metadata.items() if not key.startswith(RESERVED_PREFIXES)},
        path=_parts(address),
        address=_undivided(address),
        score=float(score) if _is_number(score) else None,
        page=next((page for key in _PAGES if (page := _page(metadata.get(key))) is not None), None),
    )


def _addresses(result: Mapping[str, Any]) -> Iterator[str]:
    """Yield every address of the document, the best first, for every kind of source."""
    location, metadata = as_object(result.get("location")), as_object(result.get("metadata"))
    # `sqlLocation` holds the query that made a row, not a document.
    places = [as_object(place) for name, place in location.items() if name != "sqlLocation"]
    candidates = [
        *(address for place in places for address in place.values()),
        *(metadata.get(key) for key in _SOURCES),
        recording_address(result.get("content")),
        result.get("documentId"),
    ]
    yield from (address for address in candidates if isinstance(address, str))


def _parts(address: str) -> tuple[str, ...]:
    """Return the bucket or host and the parts of the path; () when there is no path."""
    place = _split(address)
    if place is None:
        return ()
    path = tuple(unquote(part) for part in place.path.split("/") if part)
    owner = place.netloc.rpartition("@")[2]  # without a name and password
    return (owner, *path) if owner and path else path


def _undivided(address: str) -> str:
    """Return the address without its fragment, which is only a part of the same document."""
    place = _split(address)
    return address if place is None else place._replace(fragment="").geturl()


def _split(address: str) -> SplitResult | None:
    # A key of S3 may hold any character; in other addresses `?` and `#` begin the query and the fragment.
    if address.startswith("s3://"):
        address = address.replace("?", "%3F").replace("#", "%23")
    try:
        return urlsplit(address)
    except ValueError:  # such as a bracket where a host should be
        return None


def _page(value: Any) -> int | None:
    whole = _is_number(value) and 0 <= value <= _LAST_PAGE and value == int(value)
    return int(value) if whole else None


def _is_number(value: Any) -> TypeGuard[int | float]:
    """Whether this is a number that a float can hold; a boolean is not one."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
