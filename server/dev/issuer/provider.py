"""The development issuer's decisions, for the SDK's authorization handlers."""

import re
import secrets
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final

from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationParams,
    AuthorizeError,
    OAuthAuthorizationServerProvider,
    TokenError,
    construct_redirect_uri,
)
from mcp.shared.auth import OAuthClientInformationFull as Client
from mcp.shared.auth import OAuthToken

from server.dev.issuer.clients import Clients, DevelopmentClient
from server.dev.issuer.grants import Code, Refresh, SignIn, SignInGrant, SignInGrants
from server.dev.issuer.store import ExpiringStore
from server.dev.issuer.tokens import Tokens
from server.dev.people import Person

OPENID_SCOPES: Final = ("openid", "profile", "offline_access")
# The SDK passes only some parameters to its provider; the endpoints keep all of them here, for their own request.
REQUEST_PARAMETERS: Final[ContextVar[Mapping[str, str]]] = ContextVar("request_parameters")
_SIGN_IN_LIFETIME_S: Final = 600
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class DevelopmentProvider(OAuthAuthorizationServerProvider[Code, Refresh, AccessToken]):
    """Sign-ins, codes and tokens for fixed resources and scopes; in memory only, limited in number, expiring."""

    def __init__(
        self,
        issuer: str,
        resources: Sequence[str],
        scopes: Sequence[str],
        tokens: Tokens,
        without_a_page: Mapping[str, Person],
    ) -> None:
        """Issue `tokens`; the people `without_a_page` sign in at once where a page of this machine names one."""
        self.issuer = issuer
        self.scopes = list(scopes)
        self.tokens = tokens
        self._resources = resources
        self._without_a_page = without_a_page
        self._clients = Clients((*scopes, *OPENID_SCOPES))
        self._grants = SignInGrants()
        self._sign_ins: ExpiringStore[SignIn] = ExpiringStore(lifetime_s=_SIGN_IN_LIFETIME_S)

    async def get_client(self, client_id: str) -> Client | None:
        """Return the fixed, registered or self-described client with this identifier, or None."""
        return await self._clients.find(client_id)

    async def register_client(self, client_info: Client) -> None:
        """Remember a client that registers itself; RegistrationError when a redirect URI is not acceptable."""
        self._clients.register(client_info)

    def resource(self, asked: str | None) -> str | None:
        """Return the resource that tokens are for: `asked`, by default the first one; None if it is unknown."""
        resource = asked or self._resources[0]
        return resource if resource in self._resources else None

    async def authorize(self, client: Client, params: AuthorizationParams) -> str:
        """Keep a validated request and return the address of the page where a person is picked.

        With `prompt=none`, no page is shown: return the client's address with a code for the person of `login_hint`.
        """
        asked = REQUEST_PARAMETERS.get()
        resource = self.resource(params.resource)
        if resource is None:
            raise AuthorizeError("invalid_target", f"Unknown resource; use one of {', '.join(self._resources)}.")
        if not _CHALLENGE.fullmatch(params.code_challenge):
            raise AuthorizeError("invalid_request", "code_challenge is no S256 challenge (RFC 7636 section 4.2).")
        scopes = list(dict.fromkeys(params.scopes or self.scopes))
        waiting = SignIn(client, params, scopes, resource, asked.get("nonce"), asked.get("login_hint"))
        if asked.get("prompt") == "none":
            return self._at_once(waiting)
        transaction = secrets.token_urlsafe(32)
        self._sign_ins.put(transaction, waiting)
        return construct_redirect_uri(f"{self.issuer}/sign-in", transaction=transaction)

    def _at_once(self, sign_in: SignIn) -> str:
        """Return the client's address with a code; only for the web demo, whose code goes to this machine alone."""
        person = self._without_a_page.get(sign_in.login_hint or "")
        if (
            person is None
            or not isinstance(sign_in.client, DevelopmentClient)
            or not sign_in.client.any_loopback_redirect
        ):
            # A page in a hidden frame would let the client wait forever.
            raise AuthorizeError("access_denied", "Nobody is signed in here; ask again without prompt=none.")
        asked = sign_in.parameters
        code = self._grants.new_code(SignInGrant(sign_in, person))
        return construct_redirect_uri(str(asked.redirect_uri), code=code, state=asked.state)

    def sign_in(self, transaction: str) -> SignIn | None:
        """Return the request `transaction`, or None when it was answered or has expired."""
        return self._sign_ins.get(transaction)

    def finish(self, transaction: str, person: Person | None) -> str | None:
        """Answer a sign-in, once, as `person` or as a refusal; return where the browser goes, with `iss` (RFC 9207)."""
        sign_in = self._sign_ins.take(transaction)
        if sign_in is None:
            return None
        denied = {"error": "access_denied"}
        answer = denied if person is None else {"code": self._grants.new_code(SignInGrant(sign_in, person))}
        asked = sign_in.parameters
        return construct_redirect_uri(str(asked.redirect_uri), **answer, state=asked.state, iss=self.issuer)

    async def load_authorization_code(self, client: Client, authorization_code: str) -> Code | None:  # noqa: ARG002
        """Return an unused code, or None; the SDK compares client, redirect URI, verifier and time."""
        return self._grants.find_code(authorization_code)

    async def exchange_authorization_code(self, client: Client, authorization_code: Code) -> OAuthToken:
        """Use up a code and return its tokens."""
        sign_in = authorization_code.grant.sign_in
        return self._exchange(client, authorization_code, sign_in.scopes, sign_in.nonce)

    async def load_refresh_token(self, client: Client, refresh_token: str) -> Refresh | None:  # noqa: ARG002
        """Return an unused refresh token, or None; the SDK compares client and scopes."""
        return self._grants.find_refresh_token(refresh_token)

    async def exchange_refresh_token(self, client: Client, refresh_token: Refresh, scopes: list[str]) -> OAuthToken:
        """Replace a refresh token; person and resource stay the same, scopes may only shrink (RFC 6749 section 6)."""
        # Core 1.0 section 12.2: an ID token from a refresh needs no nonce.
        return self._exchange(client, refresh_token, scopes, nonce=None)

    async def load_access_token(self, token: str) -> AccessToken | None:
        """Return the content of an access token of ours; None when it is not ours, expired or revoked."""
        claims = self.tokens.read(token)
        if claims is None or self._grants.is_revoked(_origin(claims)):
            return None
        scopes = str(claims.get("scope", "")).split()
        return AccessToken(token=token, client_id=claims["client_id"], scopes=scopes, claims=claims)

    # The SDK's bearer middleware uses this name.
    verify_token = load_access_token

    async def revoke_token(self, token: AccessToken | Refresh) -> None:
        """Revoke a token and all others of the same sign-in (RFC 7009 section 2.1)."""
        self._grants.revoke(token.grant.origin if isinstance(token, Refresh) else _origin(token.claims or {}))

    def _exchange(self, client: Client, used: Code | Refresh, scopes: list[str], nonce: str | None) -> OAuthToken:
        resource = used.grant.sign_in.resource
        if REQUEST_PARAMETERS.get().get("resource", resource) != resource:
            # RFC 8707 section 2.2; the SDK reads the parameter and ignores it.
            raise TokenError("invalid_target", f"Another resource was authorized: {resource}.")
        used.spent = True
        renewal = self._grants.new_refresh_token(used.grant) if "refresh_token" in client.grant_types else None
        return self.tokens.for_person(used.grant, scopes, renewal, nonce)


def _origin(claims: Mapping[str, Any]) -> str:
    """Return the key for revocation: the sign-in if there was one, else the single token."""
    return str(claims.get("origin_jti") or claims.get("jti"))
