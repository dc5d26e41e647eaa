"""Clients that hold a key: tokens that are bound to it, and proofs that are made with it (RFC 9449)."""

import hashlib
import json
import time
from typing import Any

from support.issuer import Issuer, encoded, private_key, public_jwk, signed

RESOURCE = "https://mcp.example.com/mcp"
KEY = ("EC", "of the client")


def jwk_of(kind: str, name: str) -> dict[str, Any]:
    """Return the public half of a client's key, as a proof shows it."""
    return public_jwk(private_key(kind, name), "", kid=None, use=None)


def thumbprint(kind: str, name: str) -> str:
    """RFC 7638."""
    jwk = {
        member: value for member, value in jwk_of(kind, name).items() if member in {"kty", "crv", "x", "y", "n", "e"}
    }
    text = json.dumps(jwk, sort_keys=True, separators=(",", ":"))
    return encoded(hashlib.sha256(text.encode()).digest())


def bound(issuer: Issuer, key: tuple[str, str] = KEY, **claims: Any) -> str:
    return issuer.token(cnf={"jkt": thumbprint(*key)}, **claims)


def proof(
    token: str,
    key: tuple[str, str] = KEY,
    algorithm: str = "ES256",
    header: dict[str, Any] | None = None,
    **claims: Any,
) -> str:
    """Return a proof for `token` that is right but for what is given; None removes a member."""
    full_header = {"typ": "dpop+jwt", "alg": algorithm, "jwk": jwk_of(*key), **(header or {})}
    ath = encoded(hashlib.sha256(token.encode()).digest())
    full = {"jti": str(time.perf_counter_ns()), "htm": "POST", "htu": RESOURCE, "iat": int(time.time()), "ath": ath}
    members = {name: value for name, value in (full | claims).items() if value is not None}
    kept = {name: value for name, value in full_header.items() if value is not None}
    return signed(kept, members, private_key(*key), {"Ed25519": "EdDSA"}.get(algorithm, algorithm))
