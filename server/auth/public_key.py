"""A JSON Web Key of an issuer: public, strong enough, and made for one kind of signature (RFC 7517, RFC 8725)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Self

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import Algorithm, get_default_algorithms

_MINIMUM_RSA_BITS: Final = 2_048
# A longer modulus is not safer in practice, and each verification with it blocks the event loop.
_MAXIMUM_RSA_BITS: Final = 8_192
# The type of key and curve for each algorithm (RFC 7518 section 3.1, RFC 8037). Symmetric algorithms are excluded.
_KEYS: Final[Mapping[str, tuple[str, str | None]]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), ("RSA", None)),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    # The name in RFC 8037, and in its successor RFC 9864, for the one curve that is accepted.
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
# Members of a key that only its owner may have (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1).
SECRETS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
# CVE-2017-15361 (ROCA): the moduli of one faulty key generator are powers of 65537 modulo each of these primes.
_ROCA_PRIMES: Final = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that may verify signatures with `algorithms`: the one that the issuer names, else all that it can."""

    key_id: str | None
    algorithms: frozenset[str]
    material: Any

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any]) -> Self | None:
        """Return the key, or None for one that must not verify: private, symmetric, weak, or for another use."""
        key_id, algorithm, operations = jwk.get("kid"), jwk.get("alg"), jwk.get("key_ops", ["verify"])
        kind = (jwk.get("kty"), jwk.get("crv") if jwk.get("kty") != "RSA" else None)
        served = {name for name, one in _KEYS.items() if one == kind and algorithm in (None, name)}
        # A token without an id may use a key without one (RFC 7515 section 4.1.4).
        named = "kid" not in jwk or (isinstance(key_id, str) and key_id)
        if not served or not named or SECRETS & jwk.keys():
            return None
        if jwk.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
            return None
        material = _material(jwk, kind)
        return None if material is None else cls(key_id, frozenset(served), material)

    def verifies(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Whether this key made `signature` over `message` with `algorithm`; False for an algorithm of other keys."""
        if algorithm not in self.algorithms:
            return False
        return _algorithms()[algorithm].verify(message, self.material, signature)


@cache
def _algorithms() -> dict[str, Algorithm]:
    algorithms = get_default_algorithms()
    return algorithms | {"Ed25519": algorithms["EdDSA"]}


def _material(jwk: Mapping[str, Any], kind: tuple[Any, Any]) -> Any:
    """Return the key in the form that PyJWT verifies with, or None when its numbers are not a sound key."""
    if len(str(jwk.get("n", ""))) > _MAXIMUM_RSA_BITS // 6 + 8:
        return None
    reader = _algorithms()[next(name for name, one in _KEYS.items() if one == kind)]
    try:
        material = reader.from_jwk(dict(jwk))
    except (jwt.PyJWTError, UnsupportedAlgorithm, ValueError, TypeError, AttributeError):
        return None
    return None if isinstance(material, RSAPublicKey) and not _is_sound(material) else material


def _is_sound(key: RSAPublicKey) -> bool:
    """Whether an RSA key has a proper size and exponent (NIST SP 800-56B) and is not a ROCA key."""
    numbers = key.public_numbers()
    if not _MINIMUM_RSA_BITS <= key.key_size <= _MAXIMUM_RSA_BITS or not 2**16 < numbers.e < 2**64:
        return False
    return not all(numbers.n % prime in _powers(prime) for prime in _ROCA_PRIMES)


@cache
def _powers(prime: int) -> frozenset[int]:
    """Return every power of 65537 modulo `prime`."""
    return frozenset(pow(65537, exponent, prime) for exponent in range(prime - 1))
