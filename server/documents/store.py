"""What a document store is: it is asked with conditions and returns passages, which are checked again afterwards."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

# The most passages that one search may ask for; every store accepts this limit.
MAXIMUM_PASSAGES: Final = 100
# How many searches run at once; callers take turns for them. Every store can do as many.
SEARCHES_AT_ONCE: Final = 32


@dataclass(frozen=True, slots=True)
class Condition:
    """One label and the texts that it may have; positive only, because a negation also admits unlabelled documents."""

    key: str
    allowed: tuple[str, ...]

    def holds(self, labels: Any) -> bool:
        """Whether a passage's own labels meet the condition, types included: a list is not equal to its member."""
        if not isinstance(labels, Mapping):
            return False
        value: Any = labels.get(self.key)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        return isinstance(value, str) and value in self.allowed


@dataclass(frozen=True, slots=True)
class Found:
    """One passage as a store returns it; nothing about it is trusted yet.

    `text` is empty for a passage without text, such as an image. `labels` holds every label that somebody gave the
    document, of whatever type. `path` says where the document is, its file name last, and is empty when that is
    unknown; `address` is all of it, so that two documents with one path are still two. `score` is the store's
    relevance, higher is better. `page` is the page within the document.
    """

    text: str
    labels: Mapping[str, Any]
    path: tuple[str, ...] = ()
    score: float | None = None
    page: int | None = None
    address: str = ""


class DocumentStore(Protocol):
    """A store of labelled documents; it can be asked anything, so a tool never gets one."""

    async def search(self, query: str, conditions: Sequence[Condition], limit: int) -> list[Found]:
        """Return at least `limit` passages that meet every condition, best first, or all that there are.

        Raises ArgumentsError for a search that the store does not support, RefusedError when a rule of the store's own
        withholds the answer, UnavailableError when a retry may help, and MisconfiguredError when it does not. A search
        whose caller is cancelled ends at once.
        """
        ...

    def close(self) -> None:
        """Release what the store holds; no search follows."""
        ...
