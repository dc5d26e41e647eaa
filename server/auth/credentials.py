"""The credentials of a request: an access token and, with the scheme DPoP, its proof."""

from collections.abc import Mapping
from typing import Final, NamedTuple

_SCHEMES: Final = frozenset({b"bearer", b"dpop"})


class Credentials(NamedTuple):
    """A token; `proof` is the header DPoP of a request with that scheme, empty when missing, None with Bearer."""

    token: str
    proof: str | None


def credentials_of(headers: Mapping[bytes, bytes]) -> Credentials | None:
    """Return what the header Authorization holds; tokens are read nowhere else (RFC 6750 section 2.1)."""
    scheme, _, token = headers.get(b"authorization", b"").partition(b" ")
    token, scheme = token.strip(b" "), scheme.lower()
    if not token or scheme not in _SCHEMES:
        return None
    proof = headers.get(b"dpop", b"").decode("latin-1").strip(" ") if scheme == b"dpop" else None
    return Credentials(token.decode("latin-1"), proof)
