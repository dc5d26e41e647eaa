"""The development issuer's tokens, in the shape of Amazon Cognito's."""

import base64
import hashlib
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import jwt

from server.dev.issuer.grants import Grant
from server.dev.issuer.keys import SigningKeys
from server.dev.people import Person

ACCESS_LIFETIME_S: Final = 3600
Algorithm = Literal["RS256", "ES256"]


class Tokens:
    """Sign tokens for one issuer and recognise them again."""

    def __init__(self, issuer: str, keys: SigningKeys) -> None:
        self._issuer = issuer
        self.keys = keys

    def access(
        self,
        claims: Mapping[str, Any],
        *,
        lifetime_s: int = ACCESS_LIFETIME_S,
        algorithm: Algorithm = "RS256",
    ) -> str:
        """Return an access token with `claims` over the standard ones; None removes a claim (RFC 9068 section 2)."""
        standard = {"token_use": "access", "version": 2, **self._standard(lifetime_s)}
        present = {name: value for name, value in {**standard, **claims}.items() if value is not None}
        key = self.keys.newest("access-rs256" if algorithm == "RS256" else "access-es256")
        return key.sign(present, "at+jwt")

    def identity(self, grant: Grant, access_token: str, *, nonce: str | None) -> str:
        """Return an ID token for the client of `grant` (OpenID Connect Core 1.0 section 2)."""
        person = grant.person
        claims = {
            **self._standard(ACCESS_LIFETIME_S),
            **person_claims(person),
            "sub": person.subject,
            "aud": grant.client_id,
            "token_use": "id",
            "auth_time": grant.auth_time,
            "at_hash": _half_hash(access_token),
            "origin_jti": grant.origin,
            "cognito:username": person.name,
            "name": person.name,
            "email": f"{person.name}@example.com",
        }
        if nonce is not None:
            claims["nonce"] = nonce
        return self.keys.newest("identity-rs256").sign(claims, "JWT")

    def read(self, token: str) -> dict[str, Any] | None:
        """Return the claims of an access token that this issuer signed and that is not expired, else None."""
        try:
            kid = str(jwt.get_unverified_header(token).get("kid"))
            key = self.keys.find(kid)
            if key is None:
                return None
            # The audience is the protected resource; this issuer only recognises its own work.
            claims = jwt.decode(
                token,
                key.private.public_key(),
                algorithms=[key.algorithm],
                issuer=self._issuer,
                options={"verify_aud": False, "require": ["exp", "sub", "client_id"]},
            )
        except jwt.InvalidTokenError:
            return None
        return claims if claims.get("token_use") == "access" else None

    def _standard(self, lifetime_s: int) -> dict[str, Any]:
        now = int(time.time())
        return {"iss": self._issuer, "iat": now, "auth_time": now, "exp": now + lifetime_s, "jti": str(uuid.uuid4())}


def person_claims(person: Person) -> dict[str, Any]:
    """Return what both kinds of tokens say of a person's tenant and groups; absent when there is none, as Cognito."""
    claims: dict[str, Any] = {}
    if person.groups:
        claims["cognito:groups"] = list(person.groups)
    if person.tenant is not None:
        claims["custom:tenant_id"] = person.tenant
    return claims


def access_claims(person: Person, client_id: str, scopes: Sequence[str], resource: str) -> dict[str, Any]:
    """Return the claims of a person's access token; `aud` is the requested resource (RFC 8707 section 2.2)."""
    return {
        **person_claims(person),
        "sub": person.subject,
        "username": person.name,
        "client_id": client_id,
        "scope": " ".join(scopes),
        "aud": resource,
    }


def machine_claims(client_id: str, scopes: Sequence[str], resource: str) -> dict[str, Any]:
    """Return the claims of a client-credentials token: the client is its own subject and is in no group."""
    return {"sub": client_id, "client_id": client_id, "scope": " ".join(scopes), "aud": resource}


def _half_hash(access_token: str) -> str:
    """Return `at_hash` (OpenID Connect Core 1.0 section 3.1.3.6)."""
    digest = hashlib.sha256(access_token.encode()).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
