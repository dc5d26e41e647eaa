"""The documents that one caller may see: conditions from the verified token, one search, a check of the answer."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, TypeAlias, cast

import structlog

from server.documents.isolation import CANARIES, Caller, Isolation, isolating_among
from server.documents.names import document_names
from server.documents.store import MAXIMUM_PASSAGES, SEARCHES_AT_ONCE, Condition, DocumentStore, FoundPassage
from server.errors import ArgumentsError, WithheldError
from server.fair_queue import FairQueue

Label: TypeAlias = str | int | float | bool | list[str]

_NO_LABELS: Final[Mapping[str, str]] = MappingProxyType({})
_WITHHELD: Final = (
    "The document store returned a passage outside what you may see, so the whole answer was withheld. "
    "A retry does not help; report this to your administrator."
)
_log: Final = structlog.get_logger("documents")


@dataclass(frozen=True, slots=True)
class Passage:
    """One passage that the caller may see.

    `document` is the file name, with as much of its path as makes it unique in the answer. `score` is the store's
    relevance, higher is better, comparable within one answer. `page` is the page within the document, when known.
    """

    text: str
    document: str
    score: float | None
    labels: Mapping[str, Label]
    page: int | None = None


class Passages(list[Passage]):
    """Passages, best first; `left_out` counts those that were found but have no text, such as images."""

    def __init__(self, passages: Iterable[Passage] = (), left_out: int = 0) -> None:
        """Keep both."""
        super().__init__(passages)
        self.left_out: Final = left_out


def search_places() -> FairQueue:
    """Return the places that all searches of one store share."""
    return FairQueue(SEARCHES_AT_ONCE)


@dataclass(frozen=True, slots=True)
class TenantDocuments:
    """The documents of a store that one caller may see, in fair turns; `isolate_by` is documents.isolate_by."""

    _store: DocumentStore
    _isolate_by: Sequence[str]
    _caller: Caller
    _places: FairQueue = field(default_factory=search_places)

    async def search(self, query: str, limit: int, labels: Mapping[str, str] = _NO_LABELS) -> Passages:
        """Return at most `limit` passages, best first, of documents with all of `labels`; these only narrow the search.

        Raises RefusedError without a tier or when a rule of the store withholds the answer, ArgumentsError for an
        invalid limit or label, WithheldError when the store returns anything that the caller may not see,
        UnavailableError or MisconfiguredError when it fails, and LimitError when too many searches of the tenant wait.
        """
        isolation = Isolation.of(self._caller, self._isolate_by)
        if (name := isolating_among(labels)) is not None:
            raise ArgumentsError(f"The label {name!a} cannot be chosen by a caller; nothing was read. Leave it out.")
        if not 1 <= limit <= MAXIMUM_PASSAGES:
            raise ArgumentsError(f"The limit must be from 1 to {MAXIMUM_PASSAGES}; nothing was read.")
        narrowing = tuple(Condition(name, (value,)) for name, value in labels.items())
        # One more for each canary that may be found, so that canaries never displace an answer.
        asked = min(limit + len(isolation.conditions), MAXIMUM_PASSAGES)
        results = await self._found(query, (*isolation.conditions, *narrowing), asked)
        if not all(isolation.admits(one.labels) for one in results):
            _log.critical(
                "security: the document store returned a passage outside the caller's isolation",
                tenant=self._caller.tenant,
                tier=self._caller.tier,
            )
            raise WithheldError(_WITHHELD)
        shown = [one for one in results if not CANARIES.holds(one.labels)]
        kept = [one for one in shown if one.text][:limit]
        passages = (
            Passage(one.text, name, one.score, _sound(one.labels), one.page)
            for one, name in zip(kept, document_names(kept), strict=True)
        )
        return Passages(passages, left_out=sum(not one.text for one in shown))

    async def _found(self, query: str, conditions: Sequence[Condition], limit: int) -> list[FoundPassage]:
        place = await self._places.take(self._caller.tenant)
        try:
            return await self._store.search(query, conditions, limit)
        finally:
            place.give_back()


def _sound(labels: Mapping[str, Any]) -> dict[str, Label]:
    """Return the labels that are texts, numbers, booleans or lists of texts; a store may hold others."""
    return {key: value for key, value in labels.items() if _is_label(value)}


def _is_label(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(one, str) for one in cast("list[Any]", value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return abs(value) <= sys.float_info.max  # neither NaN nor infinite
    return isinstance(value, str | bool)
