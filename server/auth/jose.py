"""The strict outside of a JSON Web Signature: what is accepted before any claim is believed.

PyJWT verifies the signature; what it would let through is refused here (RFC 7515, RFC 7519, RFC 8725).
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, NoReturn, cast

import jwt
from jwt.algorithms import Algorithm, get_default_algorithms

from server.errors import TokenRefusedError

MAXIMUM_TOKEN_CHARACTERS: Final = 8_192
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)
# Keys and addresses of keys inside a token (RFC 8725 section 3.10), critical extensions, unencoded payloads,
# compression and nesting: nothing that an access token needs.
_REFUSED_HEADERS: Final = frozenset({"crit", "b64", "jku", "jwk", "x5u", "x5c", "zip", "enc", "cty"})
_TYPES: Final = frozenset({"at+jwt", "jwt"})
_KEY_ID_CHARACTERS: Final = 256
_KINDS: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


@dataclass(frozen=True, slots=True)
class UnverifiedToken:
    """A well-formed token whose signature has not been checked yet: nothing in it may be believed."""

    text: str
    algorithm: str
    key_id: str
    type: str | None
    claims: Mapping[str, Any]


def parse_token(text: str) -> UnverifiedToken:
    """Take a compact token apart; raise TokenRefusedError for anything but one plain, canonical form."""
    if len(text) > MAXIMUM_TOKEN_CHARACTERS or not _COMPACT.fullmatch(text):
        raise TokenRefusedError("not a compact JWS of acceptable size")
    header_part, claims_part, signature_part = text.split(".")
    _decoded(signature_part)
    header, claims = _object(_decoded(header_part)), _object(_decoded(claims_part))
    if refused := _REFUSED_HEADERS & header.keys():
        raise TokenRefusedError(f"header {min(refused)} is not accepted")
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(algorithm, str):
        raise TokenRefusedError("alg is not a string")
    if not isinstance(key_id, str) or not 0 < len(key_id) <= _KEY_ID_CHARACTERS:
        raise TokenRefusedError("kid is missing or malformed")
    return UnverifiedToken(text, algorithm, key_id, _type(kind), claims)


def verify_signature(token: UnverifiedToken, key: "PublicKey") -> None:
    """Raise TokenRefusedError unless `key` made the token's signature with the algorithm that the header names."""
    if key.algorithm not in {None, token.algorithm} or _KINDS.get(token.algorithm[:2]) != key.kind:
        raise TokenRefusedError("alg does not fit the key")
    try:
        _signatures().decode(token.text, key.material(token.algorithm), algorithms=[token.algorithm])
    except (jwt.PyJWTError, ValueError) as error:
        raise TokenRefusedError("the signature does not verify") from error


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One verified-as-usable JSON Web Key; `algorithm` is the key's own `alg`, when it has one."""

    jwk: Mapping[str, Any]
    kind: str
    algorithm: str | None

    def material(self, algorithm: str) -> Any:
        """Return the key in the form that PyJWT takes; raise InvalidKeyError when it does not fit."""
        return _algorithms()[algorithm].from_jwk(dict(self.jwk))


@cache
def _algorithms() -> dict[str, Algorithm]:
    return get_default_algorithms()


@cache
def _signatures() -> jwt.PyJWS:
    return jwt.PyJWS()


def _type(kind: Any) -> str | None:
    if kind is None:
        return None
    if not isinstance(kind, str):
        raise TokenRefusedError("typ is not a string")
    # RFC 7515 section 4.1.9: the prefix may be left out, letter case does not matter.
    name = kind.lower().removeprefix("application/")
    if name not in _TYPES:
        raise TokenRefusedError("typ is not that of an access token")
    return name


def _decoded(part: str) -> bytes:
    """Decode base64url in its one canonical form: two texts for one token would be two cache keys and two logs."""
    try:
        data = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise TokenRefusedError("not base64url") from error
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != part:
        raise TokenRefusedError("not canonical base64url")
    return data


def _object(data: bytes) -> dict[str, Any]:
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_without_duplicates, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise TokenRefusedError("not strict UTF-8 JSON") from error
    if not isinstance(value, dict):
        raise TokenRefusedError("not a JSON object")
    return cast("dict[str, Any]", value)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member name")
    return members


def _no_constant(_name: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")
