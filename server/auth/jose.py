"""Parse a JSON Web Signature strictly, before any of its claims is trusted.

PyJWT's algorithms verify the signature; this module checks the form around it (RFC 7515, RFC 7519, RFC 8725).
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn, cast

from server.auth.public_key import PublicKey
from server.errors import TokenRefusedError

# 200 groups of Entra ID take 8,000 characters of a payload and 10,700 of a token.
MAXIMUM_TOKEN_CHARACTERS: Final = 16_384
_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)", re.ASCII)
# An access token needs none of these: keys and addresses of keys (RFC 8725 section 3.10), critical extensions,
# unencoded payloads, compression, nesting.
_REFUSED_HEADERS: Final = frozenset({"crit", "b64", "jku", "jwk", "x5u", "x5c", "zip", "enc", "cty"})
_TYPES: Final = frozenset({"at+jwt", "jwt"})
_KEY_ID_CHARACTERS: Final = 256


@dataclass(frozen=True, slots=True)
class CompactSignature:
    """A well-formed compact JWS whose signature has not been checked yet: nothing in it is trusted."""

    algorithm: str
    key_id: str | None
    type: str | None
    payload: bytes
    signed: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class CompactParts:
    """The parts of a compact JWS: its header's members, and the bytes that the signature covers."""

    header: Mapping[str, Any]
    payload: bytes
    signed: bytes
    signature: bytes


def parse_compact(text: str, maximum_characters: int) -> CompactParts:
    """Split a compact JWS; raise TokenRefusedError for anything but one plain, canonical form."""
    if len(text) > maximum_characters or not (parts := _COMPACT.fullmatch(text)):
        raise TokenRefusedError("not a compact JWS of acceptable size")
    header, payload, signature = (_decoded(part) for part in parts.groups())
    return CompactParts(_object(header), payload, text[: parts.end(2)].encode("ascii"), signature)


def parse_signature(text: str) -> CompactSignature:
    """Split an access token; raise TokenRefusedError for a header that no access token needs."""
    parts = parse_compact(text, MAXIMUM_TOKEN_CHARACTERS)
    members = parts.header
    if refused := _REFUSED_HEADERS & members.keys():
        raise TokenRefusedError(f"header {min(refused)} is not accepted")
    algorithm, key_id = members.get("alg"), members.get("kid")
    if not isinstance(algorithm, str):
        raise TokenRefusedError("alg is not a string")
    # RFC 7515 section 4.1.4: it may be absent, for an issuer that has only one key.
    if "kid" in members and not (isinstance(key_id, str) and 0 < len(key_id) <= _KEY_ID_CHARACTERS):
        raise TokenRefusedError("kid is malformed")
    kind = _type(members.get("typ"))
    return CompactSignature(algorithm, key_id, kind, parts.payload, parts.signed, parts.signature)


def parse_claims(payload: bytes) -> Mapping[str, Any]:
    """Return the claims of a payload; raise TokenRefusedError unless it is one JSON object in plain UTF-8."""
    return _object(payload)


def verify_signature(token: CompactSignature, key: PublicKey) -> None:
    """Raise TokenRefusedError unless `key` made the token's signature with the algorithm that the header names."""
    if not key.verifies(token.algorithm, token.signed, token.signature):
        raise TokenRefusedError("the signature does not verify")


def _type(kind: Any) -> str | None:
    if kind is None:
        return None
    if not isinstance(kind, str):
        raise TokenRefusedError("typ is not a string")
    # RFC 7515 section 4.1.9: the prefix may be left out; letter case does not matter.
    name = kind.lower().removeprefix("application/")
    if name not in _TYPES:
        raise TokenRefusedError("typ is not that of an access token")
    return name


def _decoded(part: str) -> bytes:
    """Decode base64url in its one canonical form: otherwise one token would have two cache keys and log entries."""
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
