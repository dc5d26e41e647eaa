"""The nextToken of Retrieve: opaque, and valid only for the question that it was issued for."""

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final

OFFSET_BYTES: Final = 4


class PageTokens:
    """Issues and reads tokens with a key that exists as long as the process."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def issue(self, question: bytes, offset: int) -> str:
        """Return the token that continues `question` after `offset` results."""
        position = offset.to_bytes(OFFSET_BYTES, "big")
        return base64.urlsafe_b64encode(position + self._seal(question, position)).decode().rstrip("=")

    def read(self, question: bytes, token: str) -> int:
        """Return the offset; ValueError when the token was altered or issued for another question."""
        try:
            content = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except binascii.Error as error:
            raise ValueError("not a token") from error
        position, seal = content[:OFFSET_BYTES], content[OFFSET_BYTES:]
        if not hmac.compare_digest(seal, self._seal(question, position)):
            raise ValueError("not a token for this question")
        return int.from_bytes(position, "big")

    def _seal(self, question: bytes, position: bytes) -> bytes:
        return hmac.digest(self._key, position + question, hashlib.sha256)
