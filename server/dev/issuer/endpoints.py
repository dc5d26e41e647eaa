"""The SDK's authorize, token and revoke handlers, with what they lack of the standards added."""

import base64
from contextlib import suppress
from urllib.parse import parse_qsl, unquote_plus, urlencode

from mcp.server.auth.handlers.authorize import AuthorizationHandler
from mcp.server.auth.handlers.revoke import RevocationHandler
from mcp.server.auth.handlers.token import TokenErrorResponse, TokenHandler
from mcp.server.auth.middleware.client_auth import AuthenticationError, ClientAuthenticator
from mcp.server.auth.provider import TokenErrorCode, construct_redirect_uri
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message

from server.dev.issuer.provider import REQUEST_PARAMETERS, DevelopmentProvider


class Endpoints:
    """The handlers of /authorize, /token and /revoke."""

    def __init__(self, provider: DevelopmentProvider) -> None:
        self._provider = provider
        self._authenticator = ClientAuthenticator(provider)
        self._authorization = AuthorizationHandler(provider)
        self._token = TokenHandler(provider, self._authenticator)
        self._revocation = RevocationHandler(provider, self._authenticator)

    async def authorize(self, request: Request) -> Response:
        """Redirect to the sign-in page, or back to the client with a refusal that names the issuer (RFC 9207)."""
        parameters = await _read_parameters(request)
        if parameters is None:
            return self._unreadable()
        REQUEST_PARAMETERS.set(parameters)
        answer = await self._authorization.handle(request)
        location, issuer = answer.headers.get("location"), self._provider.issuer
        if location is not None and not location.startswith(f"{issuer}/sign-in?"):
            answer.headers["location"] = construct_redirect_uri(location, iss=issuer)
        return answer

    async def token(self, request: Request) -> Response:
        """Exchange a code, a refresh token or a client's own credentials for tokens."""
        form = await _read_client_form(request)
        if form is None:
            return self._unreadable()
        REQUEST_PARAMETERS.set(form)
        handle = self._client_credentials if form.get("grant_type") == "client_credentials" else self._token.handle
        answer = await handle(_with_form(request, form))
        if answer.status_code == 401 and "authorization" in request.headers:
            # RFC 6749 section 5.2: name the scheme that the client tried.
            answer.headers["www-authenticate"] = "Basic"
        return answer

    async def revoke(self, request: Request) -> Response:
        """Revoke a token of the client that asks (RFC 7009)."""
        form = await _read_client_form(request)
        return self._unreadable() if form is None else await self._revocation.handle(_with_form(request, form))

    async def _client_credentials(self, request: Request) -> Response:
        """Answer RFC 6749 section 4.4, which the SDK leaves out: a client that acts for itself."""
        try:
            client = await self._authenticator.authenticate_request(request)
        except AuthenticationError:
            # The SDK's handler authenticates first as well, and refuses this request like every other.
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

    def _unreadable(self) -> Response:
        return self._refusal("invalid_request", "Send each parameter once, as a query or a form.")

    def _refusal(self, error: TokenErrorCode, description: str) -> Response:
        return self._token.response(TokenErrorResponse(error=error, error_description=description))


async def _read_parameters(request: Request) -> dict[str, str] | None:
    """Return the query or form; None when a parameter appears twice (RFC 6749 section 3.1) or the text is no form."""
    try:
        source = (await request.body()).decode() if request.method == "POST" else request.url.query
        pairs = parse_qsl(source, keep_blank_values=True, max_num_fields=50)
    except ValueError:
        return None
    parameters = dict(pairs)
    return parameters if len(parameters) == len(pairs) else None


async def _read_client_form(request: Request) -> dict[str, str] | None:
    """Return the form with the client's credentials in it, wherever the client sent them (RFC 6749 section 2.3.1)."""
    form = await _read_parameters(request)
    if form is None:
        return None
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        with suppress(ValueError):
            client_id, secret = base64.b64decode(encoded, validate=True).decode().split(":", 1)
            form |= {"client_id": unquote_plus(client_id), "client_secret": unquote_plus(secret)}
    # The SDK's revoke handler requires a secret even of clients that have none.
    return {"client_secret": "", **form}


def _with_form(request: Request, form: dict[str, str]) -> Request:
    """Return the request again, with `form` as its body."""
    body = urlencode(form).encode()

    async def receive() -> Message:
        return {"type": "http.request", "body": body}

    return Request(request.scope, receive)
