"""DPoP proofs (RFC 9449): the sender of a token proves to hold the key that the token is bound to."""

import hashlib
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast
from urllib.parse import urlsplit

from server.auth.jose import parse_claims, parse_compact
from server.auth.public_key import SECRETS, PublicKey
from server.errors import ProofRefusedError, TokenRefusedError

ALGORITHMS: Final = ("ES256", "ES384", "ES512", "Ed25519", "EdDSA", "RS256", "PS256")
# How far `iat` may be from this server's clock, in both directions.
WINDOW_S: Final = 60
_MAXIMUM_CHARACTERS: Final = 4_096
_JTI_CHARACTERS: Final = 256
_METHOD: Final = "POST"
# Members that a proof's header may have, and the members of each type of key (RFC 7638 section 3.2).
_HEADERS: Final = frozenset({"typ", "alg", "jwk", "kid"})
_MEMBERS: Final = {"EC": ("crv", "kty", "x", "y"), "OKP": ("crv", "kty", "x"), "RSA": ("e", "kty", "n")}
_PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class DpopProof:
    """A proof that fits its request; it may still have been used before."""

    id: str
    issued: float


def check_proof(text: str, token: str, bound_to: str, url: str, now: float) -> DpopProof:
    """Return the proof of a POST to `url` with `token`, which is bound to the key with the thumbprint `bound_to`.

    Raises ProofRefusedError for a proof that is missing, malformed, or made for something else (RFC 9449 section 4.3).
    """
    if not text:
        raise ProofRefusedError("no DPoP proof")
    try:
        claims = _signed_claims(text, bound_to)
    except ProofRefusedError:
        raise
    except TokenRefusedError as error:
        raise ProofRefusedError(f"DPoP proof: {error.reason}") from error
    if claims.get("htm") != _METHOD or not _is_same(claims.get("htu"), url):
        raise ProofRefusedError("the DPoP proof is for another request")
    if claims.get("ath") != _digest(token.encode()):
        raise ProofRefusedError("the DPoP proof is for another token")
    identity = claims.get("jti")
    if not isinstance(identity, str) or not 0 < len(identity) <= _JTI_CHARACTERS:
        raise ProofRefusedError("jti of the DPoP proof is missing or malformed")
    return DpopProof(identity, _issued(claims.get("iat"), now))


def _signed_claims(text: str, bound_to: str) -> Mapping[str, Any]:
    """Return the claims of a proof that the bound key has signed."""
    parts = parse_compact(text, _MAXIMUM_CHARACTERS)
    header, jwk = parts.header, parts.header.get("jwk")
    if header.keys() - _HEADERS or header.get("typ") != "dpop+jwt" or header.get("alg") not in ALGORITHMS:
        raise ProofRefusedError("the header of the DPoP proof is not that of a DPoP proof")
    if not isinstance(jwk, dict):
        raise ProofRefusedError("jwk of the DPoP proof is missing")
    members = _named_by(cast("dict[str, Any]", jwk))
    if _digest(members.encode()) != bound_to:
        raise ProofRefusedError("the DPoP proof is made with another key")
    key = _key(members)
    if key is None or not key.verifies(header["alg"], parts.signed, parts.signature):
        raise ProofRefusedError("the signature of the DPoP proof does not verify")
    return parse_claims(parts.payload)


def _named_by(jwk: Mapping[str, Any]) -> str:
    """Return the members from which the key's thumbprint is computed, in their one canonical form."""
    names = _MEMBERS.get(str(jwk.get("kty")), ())
    if not names or SECRETS & jwk.keys() or not all(isinstance(jwk.get(name), str) for name in names):
        raise ProofRefusedError("jwk of the DPoP proof is not a public key")
    return json.dumps({name: jwk[name] for name in names}, separators=(",", ":"))


@lru_cache(maxsize=1_024)
def _key(members: str) -> PublicKey | None:
    """Return the key, cached: a client uses one for many requests."""
    return PublicKey.from_jwk(json.loads(members))


def _issued(value: Any, now: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**53:
        raise ProofRefusedError("iat of the DPoP proof is missing or not a time")
    if abs(value - now) > WINDOW_S:
        direction = "ahead of" if value > now else "behind"
        detail = f"the proof's iat is {abs(value - now):.0f} s {direction} this server's clock"
        raise ProofRefusedError("the DPoP proof is too old, or a clock is wrong", detail)
    return value


def _is_same(htu: Any, url: str) -> bool:
    """Whether `htu` is `url`, ignoring query, fragment, letter case of the host and the default port."""
    try:
        return isinstance(htu, str) and _normal(htu) == _normal(url)
    except ValueError:
        return False


def _normal(url: str) -> tuple[str, str | None, int | None, str, str | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme), parts.path or "/", parts.username


def _digest(data: bytes) -> str:
    return urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
