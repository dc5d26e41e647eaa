"""The keys that sign tenant contexts, which PostgreSQL verifies."""

import base64
import binascii
import hmac
import json
import re
import secrets
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

_KID: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_SECRET_BYTES: Final = 32
_BLOCK_BYTES: Final = 64
# How long a signed context is accepted: longer than any statement runs, and longer than clocks differ.
CONTEXT_LIFETIME_S: Final = 60
_PERSONS_KEPT: Final = 1_024
_KEYS_KEPT: Final = 16


@dataclass(frozen=True, slots=True)
class ContextKey:
    """A key id and its 32 secret bytes."""

    kid: str
    secret: bytes = field(repr=False)

    def pads(self) -> tuple[bytes, bytes]:
        """Return the inner and outer HMAC pads, 64 bytes each, which the database stores (RFC 2104 section 2).

        PostgreSQL's core has SHA-256, but no HMAC and no XOR of bytes.
        """
        block = self.secret.ljust(_BLOCK_BYTES, b"\0")
        return bytes(byte ^ 0x36 for byte in block), bytes(byte ^ 0x5C for byte in block)

    def sign(  # noqa: PLR0913  # the parts of a context
        self, *, person: tuple[str, str], tenant: str, tier: str, expiry_s: int, digest: str, request: str = ""
    ) -> str:
        """Return the context of `person` (issuer, subject) that the database accepts until `expiry_s`, a Unix time.

        `digest` is the SHA-256, in hexadecimal, of the one statement that the context is for. An empty tenant or tier
        means none; an empty `request` means a statement of the server itself. tenancy.verified_context() in
        sql/migrations reads this format.
        """
        body = f"v3|{self.kid}|{tenant}|{_encoded(person)}|{tier}|{request}|{expiry_s}|{digest}"
        mac = _begun(self.secret).copy()
        mac.update(body.encode())
        return f"{body}|{mac.hexdigest()}"

    def text(self) -> str:
        """Return `kid:BASE64`, the form in the settings."""
        return f"{self.kid}:{base64.b64encode(self.secret).decode()}"


@lru_cache(_KEYS_KEPT)
def _begun(secret: bytes) -> hmac.HMAC:
    # Copied for each message: to begin anew with the key takes twice as long.
    return hmac.new(secret, digestmod="sha256")


@lru_cache(_PERSONS_KEPT)
def _encoded(person: tuple[str, str]) -> str:
    return base64.urlsafe_b64encode("\n".join(person).encode()).decode().rstrip("=")


def parse_context_key(text: str) -> ContextKey:
    """Read `kid:BASE64`; raise ValueError with the mistake, but without the secret."""
    kid, _, encoded = text.partition(":")
    if not _KID.fullmatch(kid):
        raise ValueError("must be `kid:BASE64`; a key id has at most 32 lower-case letters, digits and hyphens")
    try:
        secret = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise ValueError(f"key {kid} is not valid base64; create one with `tenantgate keys add`") from None
    if len(secret) != _SECRET_BYTES:
        raise ValueError(f"key {kid} must hold 32 bytes; create one with `tenantgate keys add`")
    return ContextKey(kid, secret)


def listed_keys(value: Any) -> Any:
    """Return the keys in a text: as `keys add` prints them, separated by blanks or commas, or as a JSON list."""
    if not isinstance(value, str):
        return value
    if not value.lstrip().startswith("["):
        return value.replace(",", " ").split()
    try:
        return json.loads(value)
    except ValueError:
        raise ValueError("must be `kid:BASE64`, several separated by commas, or a JSON list of such texts") from None


def new_context_key(kid: str) -> ContextKey:
    """Make a new random key; raise ValueError for a malformed key id."""
    return parse_context_key(ContextKey(kid, secrets.token_bytes(_SECRET_BYTES)).text())
