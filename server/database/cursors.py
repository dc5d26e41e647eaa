"""Page cursors: opaque to the client, bound by a MAC to one person, one tenant and one request."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from typing import Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic_core import to_json

from server.database.context_keys import ContextKey
from server.database.statement import Principal
from server.errors import ArgumentsError

_LIFETIME_S: Final = 3_600
_MAC_BYTES: Final = 16
# Longer positions make cursors that models and clients cut.
_POSITION_BYTES: Final = 2_000
_REFUSED: Final = (
    "The cursor does not belong to this request or has expired; nothing was read. "
    "Leave it out to start from the first page, and keep the other arguments unchanged from page to page."
)


class Cursors:
    """Seals and opens cursors with keys that every replica of the server derives from the context keys."""

    def __init__(self, keys: Sequence[ContextKey]) -> None:
        """Derive a key for this purpose from each context key (RFC 5869); from one of them nobody learns the other."""
        self._keys: Final = tuple(derived(key.secret, b"tenantgate cursor") for key in keys)

    def seal(self, position: Sequence[str | None], request: str, principal: Principal) -> str:
        """Return a cursor for `position` (the last row's sort value and key) within `request`.

        Raises ArgumentsError when the position is too long to be carried.
        """
        # Not escaped as ASCII: a name of 200 characters would not fit into the argument's length.
        payload = to_json([int(time.time()) + _LIFETIME_S, *position])
        if len(payload) > _POSITION_BYTES:
            raise ArgumentsError(
                "The value to continue after is too long for a cursor; sort by another column, or ask for more rows."
            )
        return base64.urlsafe_b64encode(_mac(self._keys[0], payload, request, principal) + payload).decode()

    def open(self, cursor: str, request: str, principal: Principal) -> tuple[str | None, ...]:
        """Return the position; raises ArgumentsError for a cursor that is changed, expired or of another request."""
        try:
            sealed = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True)
        except ValueError:
            raise ArgumentsError(_REFUSED) from None
        mac, payload = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
        if not any(hmac.compare_digest(mac, _mac(key, payload, request, principal)) for key in self._keys):
            raise ArgumentsError(_REFUSED)
        expiry, *position = json.loads(payload)
        if expiry < time.time():
            raise ArgumentsError(_REFUSED)
        return tuple(position)


def derived(secret: bytes, purpose: bytes) -> bytes:
    """Return the key of 32 bytes that `secret` gives for one purpose (HKDF-SHA-256, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(secret)


def _mac(key: bytes, payload: bytes, request: str, principal: Principal) -> bytes:
    bound = to_json(["cursor", principal.issuer, principal.subject, principal.tenant, request])
    return hmac.digest(key, hashlib.sha256(bound).digest() + payload, "sha256")[:_MAC_BYTES]
