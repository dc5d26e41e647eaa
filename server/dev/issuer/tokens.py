"""The development issuer's tokens, in the shape of Amazon Cognito's.

The command `token` signs one without the SDK, because importing that takes two seconds.
"""

import hashlib
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import jwt
from jwt.utils import base64url_encode

from server.dev.issuer.keys import SigningKeys
from server.dev.people import Person

if TYPE_CHECKING:
    from server.dev.issuer.grants import SignInGrant
    from server.dev.issuer.token_answer import IssuedTokens

ACCESS_LIFETIME_S: Final = 3600
COMMAND_LINE_CLIENT: Final = "tenantgate-command-line"
Algorithm = Literal["RS256", "ES256"]


class Tokens:
    """Sign one issuer's tokens and recognise them again."""

    def __init__(self, issuer: str, keys: SigningKeys) -> None:
        self._issuer = issuer
        self.keys = keys

    def access(
        self, claims: Mapping[str, Any], *, lifetime_s: int = ACCESS_LIFETIME_S, algorithm: Algorithm = "RS256"
    ) -> str:
        """Return an access token with `claims` over the standard ones; None removes a claim (RFC 9068 section 2)."""
        standard = {**self._standard(lifetime_s), "token_use": "access", "version": 2}
        return self.keys.sign(f"access-{algorithm}", {**standard, **claims}, "at+jwt")

    def for_person(
        self, grant: "SignInGrant", scopes: Sequence[str], refresh_token: str | None, nonce: str | None
    ) -> "IssuedTokens":
        """Return the token endpoint's answer for `grant`; an ID token only with the scope `openid`."""
        from server.dev.issuer.token_answer import IssuedTokens

        claims = access_claims(grant.person, grant.sign_in.client.client_id, scopes, grant.sign_in.resource)
        access_token = self.access({**claims, "auth_time": grant.auth_time, "origin_jti": grant.origin})
        return IssuedTokens(
            access_token=access_token,
            expires_in=ACCESS_LIFETIME_S,
            scope=" ".join(scopes),
            refresh_token=refresh_token,
            id_token=self._identity(grant, access_token, nonce) if "openid" in scopes else None,
        )

    def for_client(self, client_id: str, scopes: Sequence[str], resource: str) -> "IssuedTokens":
        """Return the token endpoint's answer to a client that acts for itself."""
        from server.dev.issuer.token_answer import IssuedTokens

        access_token = self.access(_client_claims(client_id, scopes, resource))
        return IssuedTokens(access_token=access_token, expires_in=ACCESS_LIFETIME_S, scope=" ".join(scopes))

    def read(self, token: str) -> dict[str, Any] | None:
        """Return the claims of an access token that this issuer signed and that is not expired, else None."""
        # The audience is the protected resource; this issuer only checks that it made the token.
        options: Any = {"verify_aud": False, "require": ["exp", "sub", "client_id"]}
        try:
            key = jwt.PyJWKSet.from_dict(self.keys.published())[jwt.get_unverified_header(token)["kid"]]
            claims = jwt.decode(token, key, algorithms=[key.algorithm_name], issuer=self._issuer, options=options)
        except (jwt.PyJWTError, KeyError):
            return None
        return claims if claims.get("token_use") == "access" else None

    def _identity(self, grant: "SignInGrant", access_token: str, nonce: str | None) -> str:
        """Return an ID token for the client of `grant` (OpenID Connect Core 1.0 section 2)."""
        name = grant.person.name
        claims = {
            **self._standard(ACCESS_LIFETIME_S),
            **_person_claims(grant.person),
            "aud": grant.sign_in.client.client_id,
            "token_use": "id",
            "auth_time": grant.auth_time,
            "nonce": nonce,
            # Core 1.0 section 3.1.3.6.
            "at_hash": base64url_encode(hashlib.sha256(access_token.encode()).digest()[:16]).decode(),
            "origin_jti": grant.origin,
            "cognito:username": name,
            "name": name,
            "email": f"{name}@example.com",
        }
        return self.keys.sign("identity-RS256", claims, "JWT")

    def _standard(self, lifetime_s: int) -> dict[str, Any]:
        now = int(time.time())
        return {"iss": self._issuer, "iat": now, "auth_time": now, "exp": now + lifetime_s, "jti": str(uuid.uuid4())}


def access_claims(person: Person, client_id: str, scopes: Sequence[str], resource: str) -> dict[str, Any]:
    """Return the claims of a person's access token; `aud` is the requested resource (RFC 8707 section 2.2)."""
    return {**_client_claims(client_id, scopes, resource), **_person_claims(person), "username": person.name}


def _client_claims(client_id: str, scopes: Sequence[str], resource: str) -> dict[str, Any]:
    """Return the claims of a client-credentials token: the client is its own subject and is in no group."""
    return {"sub": client_id, "client_id": client_id, "scope": " ".join(scopes), "aud": resource}


def _person_claims(person: Person) -> dict[str, Any]:
    """Return a person's claims for both kinds of tokens; as in Cognito, an empty group or tenant has no claim."""
    return {"sub": person.subject, "cognito:groups": list(person.groups) or None, "custom:tenant_id": person.tenant}
