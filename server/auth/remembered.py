"""Verified tokens that are believed again for a short time, within a fixed amount of memory."""

import json
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from server.auth.access_token import AccessToken
from server.auth.audience import Audience
from server.auth.keys import KeySet

# How many tokens are remembered, and how many bytes; a long list of groups weighs more than all the rest.
_MAXIMUM_TOKENS: Final = 10_000
_MAXIMUM_BYTES: Final = 16_000_000
# What one token takes beside the text of its claims, as measured.
_BYTES_EACH: Final = 1_200
_NO_CLAIMS: Final[Mapping[str, Any]] = {}


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

    The digest, not the token: what is remembered cannot be sent to anyone. Claims are kept as text, which takes a
    tenth of the memory of their objects.
    """

    def __init__(self) -> None:
        """Begin with none."""
        self._kept: Final = OrderedDict[bytes, tuple[Verified, bytes]]()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, digest: bytes) -> Verified | None:
        """Return what was verified, while it is believed."""
        kept = self._kept.get(digest)
        if kept is None or not kept[0].holds:
            return None
        verified, claims = kept
        return replace(verified, token=replace(verified.token, claims=json.loads(claims)))

    def keep(self, digest: bytes, verified: Verified) -> None:
        """Remember one more token, and forget the oldest ones while there are too many."""
        claims = json.dumps(verified.token.claims, separators=(",", ":")).encode()
        self._forget(digest)
        self._kept[digest] = (replace(verified, token=replace(verified.token, claims=_NO_CLAIMS)), claims)
        self._bytes += len(claims) + _BYTES_EACH
        while len(self._kept) > _MAXIMUM_TOKENS or self._bytes > _MAXIMUM_BYTES:
            self._forget(next(iter(self._kept)))

    def _forget(self, digest: bytes) -> None:
        if (kept := self._kept.pop(digest, None)) is not None:
            self._bytes -= len(kept[1]) + _BYTES_EACH
