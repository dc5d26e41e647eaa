"""Page cursors: opaque to the client, bound by a MAC to one person, one tenant and one request."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic_core import to_json

from server.database.context_keys import ContextKey
from server.database.statement import Principal
from server.errors import ArgumentsError

_LIFETIME_S: Final = 3_600
_MAC_BYTES: Final = 16
_REFUSED: Final = (
    "The cursor does not belong to this request or has expired; nothing was read. "
    "Leave it out to start from the first page, and keep the other arguments unchanged from page to page."
)


@dataclass(frozen=True, slots=True)
class Cursors:
    """Seals and opens the cursors of one principal, with keys that every replica of the server has."""

    _keys: tuple[ContextKey, ...]
    _principal: Principal

    def seal(self, position: Sequence[str], request: str) -> str:
        """Return a cursor for `position` (the last row's sort value and id) within `request`."""
        entry = [int(time.time()) + _LIFETIME_S, *position]
        # Not escaped as ASCII: a name of 200 characters would not fit into the argument's length.
        payload = to_json(entry)
        return base64.urlsafe_b64encode(self._mac(self._keys[0], payload, request) + payload).decode()

    def open(self, cursor: str, request: str) -> tuple[str, ...]:
        """Return the position; raise ArgumentsError for a cursor that is changed, expired or of another request."""
        try:
            sealed = base64.urlsafe_b64decode(cursor.encode())
        except ValueError:
            raise ArgumentsError(_REFUSED) from None
        mac, payload = sealed[:_MAC_BYTES], sealed[_MAC_BYTES:]
        if not any(hmac.compare_digest(mac, self._mac(key, payload, request)) for key in self._keys):
            raise ArgumentsError(_REFUSED)
        expiry, *position = json.loads(payload)
        if expiry < time.time():
            raise ArgumentsError(_REFUSED)
        return tuple(position)

    def _mac(self, key: ContextKey, payload: bytes, request: str) -> bytes:
        who = self._principal
        bound = to_json(["cursor", who.issuer, who.subject, who.tenant, request])
        return hmac.digest(key.secret, hashlib.sha256(bound).digest() + payload, "sha256")[:_MAC_BYTES]
