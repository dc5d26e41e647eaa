"""Keys that are derived for one purpose each, so that one key reveals nothing about another."""

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derived(secret: bytes, purpose: bytes, length: int = 32) -> bytes:
    """Return a key of `length` bytes, derived from `secret` for one purpose (HKDF-SHA-256, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=purpose).derive(secret)
