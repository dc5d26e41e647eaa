"""Verified tokens that are believed again for a short time, within a fixed amount of memory."""

import sys
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final, cast

from server.auth.access_token import AccessToken
from server.auth.audience import Audience
from server.auth.keys import KeySet

# How many tokens are remembered, and how many bytes; a long list of groups weighs more than all the rest.
MAXIMUM_TOKENS: Final = 10_000
MAXIMUM_BYTES: Final = 18_000_000
# What one token takes beside its claims, as measured.
_BYTES_EACH: Final = 900


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that was verified with one generation of a key set, and is believed until then or the next one."""

    token: AccessToken
    # Judged anew for each request: one token is remembered once, whatever address it is sent to.
    audience: Audience
    until: float
    keys: KeySet
    generation: int

    @property
    def holds(self) -> bool:
        """Whether it is still believed."""
        return self.until > time.time() and self.generation == self.keys.generation


class RememberedTokens:
    """Verified tokens by the digest of their text; the oldest leave first.

    The digest, not the token: what is remembered cannot be sent to anyone.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: Final = OrderedDict[bytes, tuple[Verified, int]]()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, digest: bytes) -> Verified | None:
        """Return what was verified, while it is believed."""
        kept = self._kept.get(digest)
        return kept[0] if kept is not None and kept[0].holds else None

    def keep(self, digest: bytes, verified: Verified) -> None:
        """Remember one more token, and forget the oldest ones while there are too many."""
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
    """Return what a parsed JSON value takes; it may be nested as deeply as the parser allows."""
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
