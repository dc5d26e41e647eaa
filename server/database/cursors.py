"""Page cursors: encrypted, so opaque to the client, and bound to one person, one tenant and one request."""

import base64
import json
import time
from collections.abc import Sequence
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from pydantic_core import to_json

from server.database.context_keys import ContextKey
from server.database.statement import Principal
from server.derived_keys import derived
from server.errors import ArgumentsError

_LIFETIME_S: Final = 3_600
# AES-256-SIV (RFC 5297): two keys of 32 bytes; it needs no nonce, which replicas could repeat.
_KEY_BYTES: Final = 64
# Each value is padded to a multiple of this many bytes. Otherwise a cursor's length would show how many digits a row's
# key has, and a key may come from a sequence that all tenants share.
_BLOCK_BYTES: Final = 32
# Models and clients cut the cursors of longer positions.
_PAYLOAD_BYTES: Final = 2_176
_REFUSED: Final = (
    "The cursor does not belong to this request or has expired; nothing was read. "
    "Leave it out to start from the first page, and keep the other arguments unchanged from page to page."
)


class Cursors:
    """Seals and opens cursors with keys that every replica of the server derives from the context keys."""

    def __init__(self, keys: Sequence[ContextKey]) -> None:
        """Derive a cursor key from each context key; the first one seals, and all can open."""
        self._keys: Final = tuple(AESSIV(derived(key.secret, b"tenantgate cursor v2", _KEY_BYTES)) for key in keys)

    def seal(self, position: Sequence[str | None], request: str, principal: Principal) -> str:
        """Return a cursor for `position` (the last row's sort value and key) within `request`.

        Raises ArgumentsError when the position is too long for a cursor.
        """
        payload = b"[" + b",".join(map(_block, (int(time.time()) + _LIFETIME_S, *position))) + b"]"
        if len(payload) > _PAYLOAD_BYTES:
            raise ArgumentsError(
                "The last row of this page is too long for a cursor; sort by another column, or ask for more rows."
            )
        return _text(self._keys[0].encrypt(payload, [_bound(request, principal)]))

    def open(self, cursor: str, request: str, principal: Principal) -> tuple[str | None, ...]:
        """Return the position; raises ArgumentsError for a cursor that is changed, expired or for another request."""
        try:
            sealed = base64.urlsafe_b64decode(cursor.encode("ascii") + b"==")
        except ValueError:
            raise ArgumentsError(_REFUSED) from None
        # The decoder ignores characters that are not base64 and text after the end. Accept only the canonical form.
        if _text(sealed) != cursor:
            raise ArgumentsError(_REFUSED)
        expiry, *position = self._opened(sealed, _bound(request, principal))
        if expiry < time.time():
            raise ArgumentsError(_REFUSED)
        return tuple(position)

    def _opened(self, sealed: bytes, bound: bytes) -> list[Any]:
        for key in self._keys:
            try:
                return json.loads(key.decrypt(sealed, [bound]))
            except (InvalidTag, ValueError):  # ValueError: shorter than a tag
                continue
        raise ArgumentsError(_REFUSED)


def _block(value: object) -> bytes:
    # Not escaped as ASCII, or a name of 200 characters would not fit. JSON allows the blanks after the value.
    text = to_json(value)
    return text.ljust(-(-len(text) // _BLOCK_BYTES) * _BLOCK_BYTES)


def _bound(request: str, principal: Principal) -> bytes:
    return to_json(["cursor", principal.issuer, principal.subject, principal.tenant, request])


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()
