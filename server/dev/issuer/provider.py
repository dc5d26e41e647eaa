"""The development issuer's decisions, as the SDK's authorization routes ask for them."""

import re
import secrets
import time
import uuid
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationParams,
    AuthorizeError,
    OAuthAuthorizationServerProvider,
    TokenError,
    construct_redirect_uri,
)
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

from server.dev.issuer.clients import Clients, DevelopmentClient
from server.dev.issuer.grants import Code, Grant, Grants, Refresh
from server.dev.issuer.store import ExpiringStore
from server.dev.issuer.tokens import ACCESS_LIFETIME_S, Tokens, access_claims
from server.dev.people import Person

SIGN_IN_LIFETIME_S: Final = 600
OPENID_SCOPES: Final = ("openid", "profile", "offline_access")
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class OpenIdParameters:
    """The OpenID Connect parameters of an authorization request (Core 1.0 section 3.1.2.1)."""

    nonce: str | None = None
    login_hint: str | None = None
    prompt: str | None = None


# The SDK hands its provider no OpenID Connect parameters; the authorize route leaves them here for its own request.
OPENID_PARAMETERS: Final[ContextVar[OpenIdParameters]] = ContextVar("openid_parameters")


@dataclass(frozen=True, slots=True)
class SignIn:
    """One validated authorization request that waits for a person to be picked."""

    client_id: str
    client_name: str
    parameters: AuthorizationParams
    scopes: tuple[str, ...]
    resource: str
    openid: OpenIdParameters


class IssuedTokens(OAuthToken):
    """A token response that may carry an ID token (OpenID Connect Core 1.0 section 3.1.3.3)."""

    id_token: str | None = None


class DevelopmentProvider(OAuthAuthorizationServerProvider[Code, Refresh, AccessToken]):
    """Sign-ins, codes and tokens for a fixed set of resources and scopes; memory only, bounded, expiring."""

    def __init__(self, issuer: str, resources: Sequence[str], scopes: Sequence[str], tokens: Tokens) -> None:
        self.issuer = issuer
        self.resources = tuple(resources)
        self.scopes = tuple(scopes)
        self.tokens = tokens
        self.grants = Grants()
        self._clients = Clients((*scopes, *OPENID_SCOPES))
        self._sign_ins: ExpiringStore[SignIn] = ExpiringStore(lifetime_s=SIGN_IN_LIFETIME_S, capacity=1000)

    async def get_client(self, client_id: str) -> DevelopmentClient | None:
        """Return the fixed, registered or self-described client of this identifier, or None."""
        return await self._clients.find(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        """Remember a client that registers itself; RegistrationError when a redirect URI is not acceptable."""
        self._clients.register(client_info)

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        """Remember a validated request and return the address of the page where a person is picked."""
        openid = OPENID_PARAMETERS.get(OpenIdParameters())
        resource = params.resource or self.resources[0]
        if resource not in self.resources:
            raise AuthorizeError("invalid_target", f"Unknown resource; use one of {', '.join(self.resources)}.")
        if not _CHALLENGE.fullmatch(params.code_challenge):
            raise AuthorizeError("invalid_request", "code_challenge is no S256 challenge (RFC 7636 section 4.2).")
        if openid.prompt == "none":
            # There is no session to continue, and a page in a hidden frame would only let the client wait.
            raise AuthorizeError("access_denied", "Nobody is signed in here; ask again without prompt=none.")
        sign_in = SignIn(
            client_id=client.client_id,
            client_name=client.client_name or client.client_id,
            parameters=params,
            scopes=tuple(dict.fromkeys(params.scopes or self.scopes)),
            resource=resource,
            openid=openid,
        )
        transaction = secrets.token_urlsafe(32)
        self._sign_ins.put(transaction, sign_in)
        return construct_redirect_uri(f"{self.issuer}/sign-in", transaction=transaction)

    def sign_in(self, transaction: str) -> SignIn | None:
        """Return the request that waits under `transaction`, or None when it was answered or has expired."""
        return self._sign_ins.get(transaction)

    def finish(self, transaction: str, person: Person | None) -> str | None:
        """Answer a sign-in, once, as `person` or as a refusal; return where the browser goes, with `iss` (RFC 9207)."""
        sign_in = self._sign_ins.take(transaction)
        if sign_in is None:
            return None
        parameters = sign_in.parameters
        redirect_uri = str(parameters.redirect_uri)
        if person is None:
            return construct_redirect_uri(redirect_uri, error="access_denied", state=parameters.state, iss=self.issuer)
        grant = Grant(
            origin=str(uuid.uuid4()),
            person=person,
            client_id=sign_in.client_id,
            scopes=sign_in.scopes,
            resource=sign_in.resource,
            auth_time=int(time.time()),
            family=secrets.token_urlsafe(16),
            nonce=sign_in.openid.nonce,
        )
        code = self.grants.new_code(grant, parameters)
        return construct_redirect_uri(redirect_uri, code=code, state=parameters.state, iss=self.issuer)

    async def load_authorization_code(self, client: OAuthClientInformationFull, authorization_code: str) -> Code | None:
        """Return the record of a code that is still good, or None."""
        return self.grants.find_code(client.client_id, authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: Code
    ) -> IssuedTokens:
        """Spend a code and return its tokens."""
        grant = self.grants.spend_code(authorization_code.code)
        if grant is None:
            raise TokenError("invalid_grant", "The authorization code was used before or has expired.")
        return self._issue(client, grant, grant.scopes, nonce=grant.nonce)

    async def load_refresh_token(self, client: OAuthClientInformationFull, refresh_token: str) -> Refresh | None:
        """Return the record of a refresh token that is still good, or None."""
        return self.grants.find_refresh_token(client.client_id, refresh_token)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: Refresh, scopes: list[str]
    ) -> IssuedTokens:
        """Replace a refresh token; person and resource stay, scopes may only shrink (RFC 6749 section 6)."""
        # Core 1.0 section 12.2: an ID token from a refresh needs no nonce.
        return self._issue(client, refresh_token.grant, tuple(scopes), nonce=None)

    async def load_access_token(self, token: str) -> AccessToken | None:
        """Return what an access token of ours says, or None when it is not ours, expired or revoked."""
        claims = self.tokens.read(token)
        if claims is None or self.grants.is_revoked(_origin(claims)):
            return None
        scopes = str(claims.get("scope", "")).split()
        return AccessToken(token=token, client_id=claims["client_id"], scopes=scopes, claims=claims)

    async def revoke_token(self, token: AccessToken | Refresh) -> None:
        """Revoke a token and all that came of the same sign-in (RFC 7009 section 2.1)."""
        self.grants.revoke(token.grant.origin if isinstance(token, Refresh) else _origin(token.claims or {}))

    def _issue(
        self, client: OAuthClientInformationFull, grant: Grant, scopes: tuple[str, ...], *, nonce: str | None
    ) -> IssuedTokens:
        claims = access_claims(grant.person, grant.client_id, scopes, grant.resource)
        access_token = self.tokens.access({**claims, "auth_time": grant.auth_time, "origin_jti": grant.origin})
        renewable = "refresh_token" in client.grant_types
        return IssuedTokens(
            access_token=access_token,
            expires_in=ACCESS_LIFETIME_S,
            scope=" ".join(scopes),
            refresh_token=self.grants.new_refresh_token(grant) if renewable else None,
            id_token=self.tokens.identity(grant, access_token, nonce=nonce) if "openid" in scopes else None,
        )


def _origin(claims: Mapping[str, Any]) -> str:
    """Return what revocation goes by: the sign-in where there was one, else the single token."""
    return str(claims.get("origin_jti") or claims.get("jti"))
