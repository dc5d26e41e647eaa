"""Verified tokens that are trusted again for a short time, within a fixed amount of memory."""

import sys
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, cast

from server.auth.access_token import AccessToken
from server.auth.audience import Audience
from server.auth.keys import KeySet

# How many tokens are remembered, and how many bytes; a long list of groups takes more than all the rest.
MAXIMUM_TOKENS: Final = 10_000
MAXIMUM_BYTES: Final = 18_000_000
# The measured size of one token without its claims.
_BYTES_EACH: Final = 900


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that was verified with one generation of a key set; trusted until its time or a new generation."""

    token: AccessToken
    # Checked for each request: a token is remembered once, even if it is sent to several addresses.
    audience: Audience
    until: float
    keys: KeySet
    generation: int

    @property
    def holds(self) -> bool:
        """Whether it is still trusted."""
        return self.until > time.time() and self.generation == self.keys.generation


class RememberedTokens:
    """Verified tokens by the digest of their text; the oldest are forgotten first.

    The digest, not the token: what is remembered cannot be used as a token.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: Final = OrderedDict[bytes, tuple[Verified, int]]()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, digest: bytes) -> Verified | None:
        """Return the verified token while it is trusted, else None."""
        kept = self._kept.get(digest)
        return kept[0] if kept is not None and kept[0].holds else None

    def keep(self, digest: bytes, verified: Verified) -> None:
        """Remember one more token, and forget the oldest while there are too many."""
        self._forget(digest)
        size = _BYTES_EACH + _size_bytes(verified.token.claims)
        self._kept[digest] = (verified, size)
        self._bytes += size
        while len(self._kept) > MAXIMUM_TOKENS or self._bytes > MAXIMUM_BYTES:
            self._forget(next(iter(self._kept)))

    def _forget(self, digest: bytes) -> None:
        if (kept := self._kept.pop(digest, None)) is not None:
            self._bytes -= kept[1]


def _size_bytes(value: Any) -> int:
    """Return the bytes of a parsed JSON value; it may be nested as deeply as the parser allows."""
    size, waiting = 0, [value]
    while waiting:
        one = waiting.pop()
        size += sys.getsizeof(one)
        if isinstance(one, dict):
            members = cast("dict[str, Any]", one)
            waiting += [*members, *members.values()]
        elif isinstance(one, list):
            waiting += cast("list[Any]", one)
    return size
