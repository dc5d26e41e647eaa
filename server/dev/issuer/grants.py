"""What people allowed at the development issuer, and the codes and refresh tokens that prove it."""

import hmac
import secrets
import time
from dataclasses import dataclass
from typing import Final

from mcp.server.auth.provider import AuthorizationCode, AuthorizationParams, RefreshToken

from server.dev.issuer.store import ExpiringStore
from server.dev.people import Person

CODE_LIFETIME_S: Final = 60
REFRESH_LIFETIME_S: Final = 30 * 24 * 3600
_MOST_CODES: Final = 1000
_MOST_GRANTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Grant:
    """What one person allowed one client; `origin` names all tokens that derive from it (Cognito's `origin_jti`)."""

    origin: str
    person: Person
    client_id: str
    scopes: tuple[str, ...]
    resource: str
    auth_time: int
    # Not `origin`, which resource servers read in the access token and could use to spoil the refresh token.
    family: str
    nonce: str | None = None


class Code(AuthorizationCode):
    """An authorization code and the grant that it stands for."""

    grant: Grant


class Refresh(RefreshToken):
    """A refresh token and the grant that it continues."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class _Family:
    """The one refresh token of a grant that is valid now; any other one of the same grant has been used before."""

    secret: str
    grant: Grant


class Grants:
    """Hand out codes and refresh tokens, each good for one use, and revoke all of a grant when one is used twice."""

    def __init__(self) -> None:
        self._codes: ExpiringStore[Code] = ExpiringStore(lifetime_s=CODE_LIFETIME_S, capacity=_MOST_CODES)
        self._spent: ExpiringStore[str] = ExpiringStore(lifetime_s=10 * CODE_LIFETIME_S, capacity=_MOST_GRANTS)
        self._families: ExpiringStore[_Family] = ExpiringStore(lifetime_s=REFRESH_LIFETIME_S, capacity=_MOST_GRANTS)
        self._revoked: ExpiringStore[bool] = ExpiringStore(lifetime_s=REFRESH_LIFETIME_S, capacity=_MOST_GRANTS)

    def new_code(self, grant: Grant, parameters: AuthorizationParams) -> str:
        """Return a code for `grant`, good once and for 60 s, bound to the request's redirect URI and PKCE challenge."""
        code = Code(
            code=secrets.token_urlsafe(32),
            scopes=list(grant.scopes),
            expires_at=time.time() + CODE_LIFETIME_S,
            client_id=grant.client_id,
            code_challenge=parameters.code_challenge,
            redirect_uri=parameters.redirect_uri,
            redirect_uri_provided_explicitly=parameters.redirect_uri_provided_explicitly,
            resource=grant.resource,
            subject=grant.person.subject,
            grant=grant,
        )
        self._codes.put(code.code, code)
        return code.code

    def find_code(self, client_id: str, code: str) -> Code | None:
        """Return the client's code, or None; one that was spent revokes its tokens (RFC 6749 section 4.1.2)."""
        origin = self._spent.get(code)
        if origin is not None:
            self.revoke(origin)
        found = self._codes.get(code)
        return found if found is not None and found.client_id == client_id else None

    def spend_code(self, code: str) -> Grant | None:
        """Use up a code and return its grant, or None when somebody was faster."""
        found = self._codes.take(code)
        if found is None:
            return None
        self._spent.put(code, found.grant.origin)
        return found.grant

    def new_refresh_token(self, grant: Grant) -> str:
        """Return the grant's next refresh token; the one before stops working."""
        family = _Family(secret=secrets.token_urlsafe(32), grant=grant)
        self._families.put(grant.family, family)
        return f"{grant.family}.{family.secret}"

    def find_refresh_token(self, client_id: str, token: str) -> Refresh | None:
        """Return the client's refresh token, or None; a used one revokes its family (RFC 9700 section 4.14.2)."""
        name, _, secret = token.partition(".")
        family = self._families.get(name)
        if family is None or family.grant.client_id != client_id:
            return None
        grant = family.grant
        if not hmac.compare_digest(family.secret.encode(), secret.encode()):
            self.revoke(grant.origin)
        if self.is_revoked(grant.origin):
            return None
        return Refresh(
            token=token,
            client_id=client_id,
            scopes=list(grant.scopes),
            subject=grant.person.subject,
            grant=grant,
        )

    def resource_of(self, credential: str) -> str | None:
        """Return the resource that a live code or refresh token is bound to, or None when it is neither."""
        code = self._codes.get(credential)
        if code is not None:
            return code.grant.resource
        family = self._families.get(credential.partition(".")[0])
        return None if family is None else family.grant.resource

    def revoke(self, origin: str) -> None:
        """Stop every token of the grant, or the single token, that `origin` names."""
        self._revoked.put(origin, value=True)

    def is_revoked(self, origin: str) -> bool:
        """Say whether the grant or token named `origin` was revoked; resource servers that verify offline never ask."""
        return self._revoked.get(origin) is not None
