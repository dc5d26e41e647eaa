"""The SDK's authorize, token and revoke handlers, with the parts of the standards that they lack."""

import base64
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final
from urllib.parse import parse_qsl, unquote_plus, urlencode

from mcp.server.auth.handlers.authorize import AuthorizationHandler
from mcp.server.auth.handlers.revoke import RevocationHandler
from mcp.server.auth.handlers.token import TokenErrorResponse, TokenHandler
from mcp.server.auth.middleware.client_auth import AuthenticationError, ClientAuthenticator
from mcp.server.auth.provider import TokenErrorCode, construct_redirect_uri
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message

from server.dev.issuer.provider import REQUEST_PARAMETERS, DevelopmentProvider

Handler = Callable[[Request], Awaitable[Response]]
_UNREADABLE: Final = {"error": "invalid_request", "error_description": "Send a query or a form, each parameter once."}


class Endpoints:
    """The handlers of /authorize, /token and /revoke."""

    def __init__(self, provider: DevelopmentProvider) -> None:
        self._provider = provider
        self._authenticator = ClientAuthenticator(provider)
        self._authorization = AuthorizationHandler(provider)
        self._token = TokenHandler(provider, self._authenticator)
        self.authorize = _strict(self._authorize)
        self.token = _strict(self._exchange)
        self.revoke = _strict(RevocationHandler(provider, self._authenticator).handle)

    async def _authorize(self, request: Request) -> Response:
        """Redirect to the sign-in page, or back to the client with a refusal that names the issuer (RFC 9207)."""
        answer = await self._authorization.handle(request)
        location, issuer = answer.headers.get("location"), self._provider.issuer
        if location is not None and not location.startswith(f"{issuer}/sign-in?"):
            answer.headers["location"] = construct_redirect_uri(location, iss=issuer)
        return answer

    async def _exchange(self, request: Request) -> Response:
        """Exchange a code, a refresh token or a client's own credentials for tokens."""
        is_client = REQUEST_PARAMETERS.get().get("grant_type") == "client_credentials"
        answer = await (self._client_credentials(request) if is_client else self._token.handle(request))
        if answer.status_code == 401 and "authorization" in request.headers:
            # RFC 6749 section 5.2: name the scheme that the client tried.
            answer.headers["www-authenticate"] = "Basic"
        return answer

    async def _client_credentials(self, request: Request) -> Response:
        """Answer RFC 6749 section 4.4, which the SDK lacks: a client that acts for itself."""
        try:
            client = await self._authenticator.authenticate_request(request)
        except AuthenticationError:
            # The SDK's handler authenticates first too, and refuses this request like any other.
            return await self._token.handle(request)
        asked, allowed = REQUEST_PARAMETERS.get(), self._provider.scopes
        scopes = asked.get("scope", "").split() or allowed
        resource = self._provider.resource(asked.get("resource"))
        if "client_credentials" not in client.grant_types:
            return self._refusal("unauthorized_client", "This client may not use client_credentials.")
        if not set(scopes) <= set(allowed):
            return self._refusal("invalid_scope", f"Unknown scope; use {' '.join(allowed)}.")
        if resource is None:
            return self._refusal("invalid_target", "Unknown resource.")
        return self._token.response(self._provider.tokens.for_client(client.client_id, scopes, resource))

    def _refusal(self, error: TokenErrorCode, description: str) -> Response:
        return self._token.response(TokenErrorResponse(error=error, error_description=description))


def _strict(handle: Handler) -> Handler:
    """Return `handle` with its parameters in REQUEST_PARAMETERS; 400 when one appears twice (RFC 6749 section 3.1)."""

    async def answer(request: Request) -> Response:
        try:
            source = (await request.body()).decode() if request.method == "POST" else request.url.query
            pairs = parse_qsl(source, keep_blank_values=True, max_num_fields=50)
        except ValueError:
            return JSONResponse(_UNREADABLE, 400)
        parameters = dict(pairs)
        if len(parameters) < len(pairs):
            return JSONResponse(_UNREADABLE, 400)
        # The SDK's revoke handler requires a secret even for clients without one.
        parameters = {"client_secret": "", **parameters, **_basic_credentials(request)}
        REQUEST_PARAMETERS.set(parameters)
        body = urlencode(parameters).encode()

        async def receive() -> Message:
            return {"type": "http.request", "body": body}

        return await handle(Request(request.scope, receive))

    return answer


def _basic_credentials(request: Request) -> dict[str, str]:
    """Return the client's identifier and secret from the Authorization header; the SDK expects them in the form."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    with suppress(ValueError):
        client_id, secret = base64.b64decode(encoded, validate=True).decode().split(":", 1)
        if scheme.lower() == "basic":
            return {"client_id": unquote_plus(client_id), "client_secret": unquote_plus(secret)}
    return {}
