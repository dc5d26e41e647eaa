"""The grants of people at the development issuer, with their codes and refresh tokens."""

import secrets
import time
import uuid
from dataclasses import dataclass, field
from typing import Final, TypeVar

from mcp.server.auth.provider import AuthorizationCode, AuthorizationParams, RefreshToken
from mcp.shared.auth import OAuthClientInformationFull

from server.dev.issuer.store import ExpiringStore
from server.dev.people import Person

_CODE_LIFETIME_S: Final = 60
_REFRESH_LIFETIME_S: Final = 30 * 24 * 3600
_MOST_GRANTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class SignIn:
    """One validated authorization request, with its scopes and its resource."""

    client: OAuthClientInformationFull
    parameters: AuthorizationParams
    scopes: list[str]
    resource: str
    nonce: str | None
    login_hint: str | None


@dataclass(frozen=True, slots=True)
class SignInGrant:
    """What one person allowed one client; `origin` names all tokens that derive from it (Cognito's `origin_jti`)."""

    sign_in: SignIn
    person: Person
    auth_time: int = field(default_factory=lambda: int(time.time()))
    origin: str = field(default_factory=lambda: str(uuid.uuid4()))


class Code(AuthorizationCode):
    """An authorization code and its grant."""

    grant: SignInGrant
    spent: bool = False


class Refresh(RefreshToken):
    """A refresh token and the grant that it continues."""

    grant: SignInGrant
    spent: bool = False


Credential = TypeVar("Credential", Code, Refresh)


class SignInGrants:
    """Hand out codes and refresh tokens, each valid once; revoke all tokens of a grant when one is used twice."""

    def __init__(self) -> None:
        # A code is kept longer than it is valid, so that a second use is noticed.
        self._codes: ExpiringStore[Code] = ExpiringStore(lifetime_s=10 * _CODE_LIFETIME_S)
        self._renewals: ExpiringStore[Refresh] = ExpiringStore(lifetime_s=_REFRESH_LIFETIME_S, capacity=_MOST_GRANTS)
        self._revoked: ExpiringStore[bool] = ExpiringStore(lifetime_s=_REFRESH_LIFETIME_S, capacity=_MOST_GRANTS)

    def new_code(self, grant: SignInGrant) -> str:
        """Return a code for `grant`, valid once within 60 s, bound to the request's redirect URI and PKCE challenge."""
        code, asked = secrets.token_urlsafe(32), grant.sign_in
        record = Code(
            **asked.parameters.model_dump(exclude={"scopes", "state"}),
            code=code,
            scopes=asked.scopes,
            expires_at=time.time() + _CODE_LIFETIME_S,
            client_id=asked.client.client_id,
            grant=grant,
        )
        self._codes.put(code, record)
        return code

    def new_refresh_token(self, grant: SignInGrant) -> str:
        """Return the grant's next refresh token."""
        token, asked = secrets.token_urlsafe(32), grant.sign_in
        record = Refresh(token=token, client_id=asked.client.client_id, scopes=asked.scopes, grant=grant)
        self._renewals.put(token, record)
        return token

    def find_code(self, code: str) -> Code | None:
        """Return a code that is still valid, or None; a used one revokes its grant (RFC 6749 section 4.1.2)."""
        return self._unused(self._codes.get(code))

    def find_refresh_token(self, token: str) -> Refresh | None:
        """Return a valid refresh token, or None; a used one revokes its grant (RFC 9700 section 4.14.2)."""
        return self._unused(self._renewals.get(token))

    def revoke(self, origin: str) -> None:
        """Revoke every token of the grant, or the single token, that `origin` names."""
        self._revoked.put(origin, value=True)

    def is_revoked(self, origin: str) -> bool:
        """Return whether the grant or token `origin` was revoked; resource servers that verify offline never ask."""
        return self._revoked.get(origin) is not None

    def _unused(self, found: Credential | None) -> Credential | None:
        if found is not None and found.spent:
            self.revoke(found.grant.origin)
        return None if found is None or self.is_revoked(found.grant.origin) else found
