"""A document store that callers can search only after the isolation of tiers and tenants was proved on it."""

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Final

from server.documents.store import Condition, DocumentStore, FoundPassage
from server.errors import ToolError, UnavailableError, WithheldError
from server.telemetry.watch import CURRENT

_NOT_YET: Final = "The isolation of the documents is not proved yet; nothing was read. Retry in a few seconds."
_LEAKS: Final = (
    "The document store did not keep tiers and tenants apart when this was proved, so it is not searched. "
    "A retry does not help; report this to your administrator."
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a proof: why it could not be made, or the tiers for which the store returned too much."""

    failure: ToolError | None = None
    leaking: frozenset[str] = frozenset()


@dataclass(slots=True)
class Counts:
    """How many searches reached the store so far, how many failed, and how many it refused as too many."""

    calls: int = 0
    errors: int = 0
    throttles: int = 0


class ProvedStore:
    """A store that callers can search as far as its last proof allows; the proof itself searches `unproved`."""

    def __init__(self, unproved: DocumentStore, patience_s: float, name: str = "") -> None:
        """Refuse every search until the first verdict; a search waits for it at most `patience_s`.

        `name` is the store's name for operators.
        """
        self.counts: Final = Counts()
        self._name: Final = name
        self.unproved: Final = unproved
        self._patience_s: Final = patience_s
        self._verdict: Verdict | None = None
        self._judged: Final = asyncio.Event()

    @property
    def proved(self) -> bool:
        """Whether the last proof could be made and found no leak."""
        return self._verdict == Verdict()

    def judge(self, verdict: Verdict) -> None:
        """Let searches pass, or not, from now on.

        A store that does not answer has not lost its isolation: callers then get the store's own errors.
        """
        if verdict.failure is None or self._verdict is None or self._verdict.failure is not None:
            self._verdict = verdict
        self._judged.set()

    async def search(self, query: str, conditions: Sequence[Condition], limit: int) -> list[FoundPassage]:
        """Search the store.

        Raises UnavailableError while there is no verdict, the error of the proof when it could not be made, and
        WithheldError for a tier that leaks.
        """
        verdict = self._verdict or await self._first_verdict()
        if verdict.failure is not None:
            raise type(verdict.failure)(str(verdict.failure)) from verdict.failure.__cause__
        if any(tier in verdict.leaking for one in conditions if one.key == "tier" for tier in one.allowed):
            raise WithheldError(_LEAKS)
        run = self.unproved.search(query, conditions, limit)
        watch = CURRENT.get()
        return await self._counted(run if watch is None else watch.retrieval(self._name, run))

    async def _counted(self, run: Awaitable[list[FoundPassage]]) -> list[FoundPassage]:
        self.counts.calls += 1
        try:
            return await run
        except ToolError as error:
            self.counts.errors += 1
            self.counts.throttles += isinstance(error, UnavailableError) and error.is_throttled
            raise

    async def _first_verdict(self) -> Verdict:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._judged.wait()
        except TimeoutError:
            raise UnavailableError(_NOT_YET) from None
        return self._verdict or Verdict(UnavailableError(_NOT_YET))

    def close(self) -> None:
        """Release the store's resources."""
        self.unproved.close()
