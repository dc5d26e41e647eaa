"""The credentials of a request: an access token and, with the scheme DPoP, its proof."""

from collections.abc import Mapping
from typing import NamedTuple


class Credentials(NamedTuple):
    """A token; `proof` is the header DPoP of a request with that scheme, empty when missing, None with Bearer."""

    token: str
    proof: str | None


def credentials_of(headers: Mapping[bytes, bytes]) -> Credentials | None:
    """Return what the header Authorization holds; tokens are read nowhere else (RFC 6750 section 2.1)."""
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    token = token.strip(" ")
    if not token or scheme.lower() not in {"bearer", "dpop"}:
        return None
    proof = headers.get(b"dpop", b"").decode("latin-1").strip(" ") if scheme.lower() == "dpop" else None
    return Credentials(token, proof)
