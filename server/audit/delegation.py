"""Keys of this process that a slow signing key authorises: one for checkpoints, for an hour, and one for grants.

A key in AWS KMS answers over the network. So it signs a statement that a key of this process may sign checkpoints
until a certain time. A verifier needs only the public half of the KMS key, the lending key.
"""

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import jwt
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.api_jws import PyJWS

from server.audit.keys import SigningKey

_JWS: Final = PyJWS(algorithms=["EdDSA"])
_TYPE: Final = "tenantgate-delegation"
_GRANTS: Final = b"tenantgate audit grants"
_GRANTS_KEY: Final = b"tenantgate audit grants key "
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
Sign = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Delegation:
    """A key of this process, the signed statement that it may sign checkpoints, and its end (Unix time)."""

    key: SigningKey
    statement: str
    until: int


def delegated(key: SigningKey, kid: str, since: int, until: int, sign: Sign) -> Delegation:
    """Let `key` sign checkpoints from `since` until `until`; `sign` signs with the lending key, whose id is `kid`."""
    header = {"alg": "EdDSA", "typ": _TYPE, "kid": kid}
    payload = {"key": key.public_text(), "from": since, "until": until}
    signed = ".".join(_encoded(json.dumps(part, separators=(",", ":")).encode()) for part in (header, payload))
    return Delegation(key, f"{signed}.{_encoded(sign(signed.encode()))}", until)


def borrowed_key(text: Any, lender: Ed25519PublicKey, moment: float) -> Ed25519PublicKey:
    """Return the key that `lender` authorised for `moment`; raise ValueError when it authorised none."""
    try:
        if not isinstance(text, str) or jwt.get_unverified_header(text).get("typ") != _TYPE:
            raise ValueError("the checkpoint's key is not authorized by a known key")
        said: Any = json.loads(_JWS.decode(text, lender, algorithms=["EdDSA"]))
        if not said["from"] <= moment <= said["until"]:
            raise ValueError("the checkpoint's key was authorized for another time")
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(said["key"]))
    except (jwt.PyJWTError, KeyError, TypeError):
        raise ValueError("the checkpoint's key is not the one that the known key authorized") from None


class TenantGrants:
    """Makes grants for tenants with a key that only the lending key can make, the same each time."""

    def __init__(self, public: Ed25519PublicKey, sign: Sign) -> None:
        """Ask the lending key twice; raise ValueError when it does not sign the same each time (RFC 8032)."""
        seed = sign(_GRANTS)
        public.verify(seed, _GRANTS)
        if sign(_GRANTS) != seed:
            raise ValueError("signs the same text in two ways, so no extract could be made; use an Ed25519 key")
        self._key: Final = SigningKey(hashlib.sha256(seed).digest())
        raw = self._key.public.public_bytes_raw()
        self._lent: Final = raw + sign(_GRANTS_KEY + raw)

    def grant(self, text: bytes) -> bytes:
        """Return the public half of the key, the lending key's signature of it, and the signature of `text`."""
        return self._lent + self._key.grant(text)


def verify_grant(public: Ed25519PublicKey, grant: bytes, text: bytes) -> None:
    """Raise InvalidSignature unless this key, or a key that it authorised, made the grant."""
    if len(grant) != _KEY_BYTES + 2 * _SIGNATURE_BYTES:
        public.verify(grant, text)
        return
    raw, lent, signature = grant[:_KEY_BYTES], grant[_KEY_BYTES:-_SIGNATURE_BYTES], grant[-_SIGNATURE_BYTES:]
    public.verify(lent, _GRANTS_KEY + raw)
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, text)
    except ValueError:
        raise InvalidSignature from None


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
