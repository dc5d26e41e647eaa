"""What an attacker has, and the two ways to sign with what they have."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from jwt.algorithms import RSAAlgorithm
from support.issuer import Issuer, encoded, private_key, signed

HASHES: Final = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}


@dataclass(frozen=True)
class Genuine:
    """What an attacker has: a token of their own, the keys of its issuer, and a server whose requests are counted."""

    token: str
    keys: list[dict[str, Any]]
    server: Issuer

    @property
    def header(self) -> dict[str, Any]:
        """The token's header."""
        return json.loads(decoded(self.token.split(".")[0]))

    @property
    def wanted(self) -> bytes:
        """The claims that the attacker would like to have: another person's, of another tenant."""
        claims = json.loads(decoded(self.token.split(".")[1]))
        return json.dumps({**claims, "sub": "forged", "tenant_id": "broker-b"}).encode()

    @property
    def public(self) -> Any:
        """The issuer's published RSA key."""
        return RSAAlgorithm.from_jwk(self.keys[0])

    def with_header(self, **members: Any) -> dict[str, Any]:
        """Return the genuine header with members changed; None removes one."""
        return {name: value for name, value in {**self.header, **members}.items() if value is not None}

    def unsigned(self, header: Mapping[str, Any]) -> str:
        """Return the part that a signature is over."""
        return f"{encoded(json.dumps(header).encode())}.{encoded(self.wanted)}"

    def by_secret(self, secret: bytes, **members: Any) -> str:
        """Return the token with an HMAC by `secret`."""
        header = self.with_header(**{"alg": "HS256", **members})
        message = self.unsigned(header)
        return f"{message}.{encoded(hmac.digest(secret, message.encode(), HASHES[header['alg']]))}"

    def by_own_key(self, **members: Any) -> str:
        """Return the token with a signature of the attacker's own key."""
        claims = {**json.loads(self.wanted), **members.pop("claims", {})}
        return signed(self.with_header(**members), claims, private_key("RSA", "of the attacker"), "RS256")


def decoded(text: str) -> bytes:
    """Return the bytes of base64 without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
