"""What stands in front of the SDK's authorize, token and revoke routes, where they fall short of the standards."""

import base64
import binascii
from typing import Final, cast
from urllib.parse import parse_qsl, unquote_plus, urlencode

from mcp.server.auth.middleware.client_auth import AuthenticationError, ClientAuthenticator
from mcp.server.auth.provider import construct_redirect_uri
from mcp.shared.auth import OAuthToken
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.dev.issuer.provider import OPENID_PARAMETERS, DevelopmentProvider, OpenIdParameters
from server.dev.issuer.tokens import ACCESS_LIFETIME_S, machine_claims

_NOT_KEPT: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class Authorize:
    """Hand the OpenID Connect parameters to the provider, and put `iss` into refusals too (RFC 9207 section 2)."""

    def __init__(self, app: ASGIApp, provider: DevelopmentProvider) -> None:
        self._app = app
        self._provider = provider

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer an authorization request with a redirect to the sign-in page, or with a refusal."""
        request = Request(scope, receive)
        body = await request.body()
        source = body if request.method == "POST" else cast("bytes", scope["query_string"])
        parameters = _only_once(source)
        if parameters is None:
            await _refusal("invalid_request", "Every parameter may appear once.")(scope, receive, send)
            return
        openid = OpenIdParameters(
            nonce=parameters.get("nonce"),
            login_hint=parameters.get("login_hint"),
            prompt=parameters.get("prompt"),
        )
        token = OPENID_PARAMETERS.set(openid)
        try:
            await self._app(*_with_body(scope, body), self._naming_the_issuer(send))
        finally:
            OPENID_PARAMETERS.reset(token)

    def _naming_the_issuer(self, send: Send) -> Send:
        issuer = self._provider.issuer

        async def send_with_issuer(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                location = headers.get("location")
                if location is not None and not location.startswith(f"{issuer}/sign-in?"):
                    headers["location"] = construct_redirect_uri(location, iss=issuer)
            await send(message)

        return send_with_issuer


class ClientForm:
    """Give the wrapped route one plain form: each parameter once, the client's credentials in the body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the normalised form on, or answer 400."""
        form = _only_once(await Request(scope, receive).body())
        if form is None:
            await _refusal("invalid_request", "Every parameter may appear once.")(scope, receive, send)
            return
        # The SDK looks for the client in the body alone, while RFC 6749 section 2.3.1 lets a client send only Basic.
        form = {**form, **_basic_credentials(Headers(scope=scope))}
        # The SDK's revoke route calls this field required even of clients that have none.
        form.setdefault("client_secret", "")
        await self._app(*_with_body(scope, urlencode(form).encode()), send)


class Token:
    """Add the client-credentials grant and the check of `resource` to the SDK's token route."""

    def __init__(self, app: ASGIApp, provider: DevelopmentProvider) -> None:
        self._app = app
        self._provider = provider
        self._authenticator = ClientAuthenticator(provider)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a token request whose form ClientForm has normalised."""
        body = await Request(scope, receive).body()
        form = _only_once(body) or {}
        resource = form.get("resource")
        credential = form.get("code") or form.get("refresh_token") or ""
        allowed = self._provider.grants.resource_of(credential)
        answer: Response | None = None
        if resource is not None and resource not in ((allowed,) if allowed else self._provider.resources):
            # RFC 8707 section 2.2; the SDK reads the parameter and ignores it.
            answer = _refusal("invalid_target", "The resource is unknown, or not the one that was authorized.")
        elif form.get("grant_type") == "client_credentials":
            answer = await self._client_credentials(Request(*_with_body(scope, body)), form)
        await (answer or self._app)(*_with_body(scope, body), send)

    async def _client_credentials(self, request: Request, form: dict[str, str]) -> Response:
        """Answer RFC 6749 section 4.4, which the SDK leaves out: a client that acts for itself."""
        provider = self._provider
        try:
            client = await self._authenticator.authenticate_request(request)
        except AuthenticationError as error:
            return _refusal("invalid_client", error.message, status=401)
        if "client_credentials" not in client.grant_types:
            return _refusal("unauthorized_client", "This client may not use client_credentials.")
        scopes = tuple(form.get("scope", "").split()) or provider.scopes
        if not set(scopes) <= set(provider.scopes):
            return _refusal("invalid_scope", f"Unknown scope; use {' '.join(provider.scopes)}.")
        claims = machine_claims(client.client_id, scopes, form.get("resource") or provider.resources[0])
        access_token = provider.tokens.access(claims)
        token = OAuthToken(access_token=access_token, expires_in=ACCESS_LIFETIME_S, scope=claims["scope"])
        return JSONResponse(token.model_dump(exclude_none=True), headers=_NOT_KEPT)


def _refusal(error: str, description: str, status: int = 400) -> Response:
    """Return an error response (RFC 6749 section 5.2)."""
    challenge = {"WWW-Authenticate": "Basic"} if status == 401 else {}
    return JSONResponse({"error": error, "error_description": description}, status, {**_NOT_KEPT, **challenge})


def _only_once(source: bytes) -> dict[str, str] | None:
    """Return the parameters, or None when one appears twice (RFC 6749 section 3.1) or the text is no form."""
    try:
        pairs = parse_qsl(source.decode(), keep_blank_values=True, max_num_fields=50)
    except ValueError:
        return None
    parameters = dict(pairs)
    return parameters if len(parameters) == len(pairs) else None


def _basic_credentials(headers: Headers) -> dict[str, str]:
    """Return the client's identifier and secret from the Authorization header, or nothing (RFC 6749 section 2.3.1)."""
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return {}
    try:
        client_id, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return {}
    return {"client_id": unquote_plus(client_id), "client_secret": unquote_plus(secret)} if colon else {}


def _with_body(scope: Scope, body: bytes) -> tuple[Scope, Receive]:
    """Return the request again with `body`, for the next reader."""
    headers = [(name, value) for name, value in scope["headers"] if name not in {b"content-length", b"content-type"}]
    headers += [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/x-www-form-urlencoded")]

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return {**scope, "headers": headers}, receive
