"""The Ed25519 keys (RFC 8032) of checkpoints: one key signs; its public half and those of former keys verify."""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from server.derived_keys import derived

_BYTES: Final = 32
_ID_CHARACTERS: Final = 12
PublicKeys = Mapping[str, Ed25519PublicKey]


class TrailSigner(Protocol):
    """Signs a trail: a key in the settings, or one in AWS KMS."""

    @property
    def kid(self) -> str:
        """The id that every checkpoint holds."""
        ...

    def public_text(self) -> str:
        """Return the base64 form of the public key."""
        ...

    def lent(self) -> tuple[Ed25519PrivateKey, dict[str, Any]]:
        """Return the key that signs a checkpoint now, and more fields for its header; raise OSError without one."""
        ...

    def grant(self, text: bytes) -> bytes:
        """Return a signature of `text`, always the same, with which a tenant checks its secret."""
        ...


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key; its id is made from the public key, so nobody has to choose one."""

    seed: bytes = field(repr=False)

    @property
    def private(self) -> Ed25519PrivateKey:
        """The key that signs."""
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @property
    def public(self) -> Ed25519PublicKey:
        """The key that verifies."""
        return self.private.public_key()

    @property
    def kid(self) -> str:
        """The id that every checkpoint holds."""
        return key_id(self.public)

    def text(self) -> str:
        """Return the base64 form that `audit.signing_key` takes."""
        return base64.b64encode(self.seed).decode()

    def public_text(self) -> str:
        """Return the base64 form of the public key, for `audit.public_keys` and for the verifiers of an extract."""
        return public_text_of(self.public)

    def lent(self) -> tuple[Ed25519PrivateKey, dict[str, Any]]:
        """Return the key itself: it signs checkpoints at once."""
        return self.private, {}

    def grant(self, text: bytes) -> bytes:
        """Return a signature of `text`."""
        return self.private.sign(text)

    def derived(self, purpose: bytes) -> bytes:
        """Return 32 bytes for one purpose (HKDF-SHA-256, RFC 5869), which do not reveal the key."""
        return derived(self.seed, purpose, _BYTES)


def parse_signing_key(text: str) -> SigningKey:
    """Read the base64 form; raise ValueError with the problem, without the secret."""
    return SigningKey(_decoded(text))


def public_keys(texts: Iterable[str]) -> PublicKeys:
    """Return the public keys of their base64 forms, by id; raise ValueError for an invalid one."""
    keys = [Ed25519PublicKey.from_public_bytes(_decoded(text)) for text in texts]
    return {key_id(key): key for key in keys}


def public_text_of(key: Ed25519PublicKey) -> str:
    """Return the base64 form of a public key."""
    return base64.b64encode(key.public_bytes_raw()).decode()


def key_id(key: Ed25519PublicKey) -> str:
    """Return the id of a key, which is made from its public half."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:_ID_CHARACTERS]


def _decoded(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _BYTES:
        raise ValueError("must be base64 of 32 bytes; make a key pair with `tenantgate audit keys`")
    return raw
