"""The interface of a document store: a search has conditions, and the passages it returns are checked again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

# The most passages that one search may ask for; every store accepts this limit.
MAXIMUM_PASSAGES: Final = 100
# How many searches run at once, in turns. Every store supports this many.
SEARCHES_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class Condition:
    """One label and the texts that it may have; no negations, because these also match documents without the label."""

    key: str
    allowed: tuple[str, ...]

    def holds(self, labels: Any) -> bool:
        """Whether a passage's own labels meet the condition, types included: a list does not equal its member."""
        if not isinstance(labels, Mapping):
            return False
        value: Any = labels.get(self.key)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return isinstance(value, str) and value in self.allowed


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """One passage as a store returns it; none of it is trusted yet.

    `text` is empty for a passage without text, such as an image. `labels` holds every label of the document, of any
    type. `path` says where the document is, its file name last, and is empty when unknown; `address` is the full
    address, which distinguishes documents with the same path. `score` is the store's relevance, higher is better.
    `page` is the page within the document.
    """

    text: str
    labels: Mapping[str, Any]
    path: tuple[str, ...] = ()
    score: float | None = None
    page: int | None = None
    address: str = ""


class DocumentStore(Protocol):
    """A store of labelled documents; it accepts any search, so a tool never gets one."""

    async def search(self, query: str, conditions: Sequence[Condition], limit: int) -> list[FoundPassage]:
        """Return at least `limit` passages that meet every condition, best first, or all when there are fewer.

        Raises ArgumentsError for a search that the store does not support, RefusedError when one of the store's own
        rules withholds the answer, UnavailableError when a retry may help, and MisconfiguredError when it does not. A
        search ends at once when its caller is cancelled.
        """
        ...

    def close(self) -> None:
        """Release the store's resources; no search follows."""
        ...
