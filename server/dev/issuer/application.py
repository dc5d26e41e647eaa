"""The development identity provider: sign in as a sample person, get tokens in the shape of Amazon Cognito's.

It is a stand-in for loopback only: there are no passwords. An MCP client or a browser is sent to the sign-in page,
where a person picks a name and is sent back. A program without a browser does the same in three requests:

    GET  /authorize?response_type=code&client_id=tenantgate-web&redirect_uri=http://127.0.0.1:9/callback
         &code_challenge=…&code_challenge_method=S256&scope=openid+SCOPE      → 302 to /sign-in?transaction=…
    POST /sign-in   transaction=…&person=PERSON                              → 303 to redirect_uri?code=…&iss=…
    POST /token     grant_type=authorization_code&client_id=tenantgate-web&code=…&redirect_uri=…&code_verifier=…

The first request also takes `nonce`, `state`, `resource` and `login_hint=PERSON` (which preselects). With `prompt=none`
as well, `tenantgate-web` gets its code at once for a sample person: it is always a page of this machine. At an own
database nobody signs in like this.

Fixed clients: `tenantgate-web` (public, any loopback redirect URI) and `nightly-report` with the secret
`nightly-report-secret` (client_credentials). Other clients register at /register or use their metadata document's
address as client_id.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from mcp.server.auth.handlers.register import RegistrationHandler
from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.settings import ClientRegistrationOptions
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.dev.issuer.endpoints import Endpoints
from server.dev.issuer.keys import SigningKeys
from server.dev.issuer.loopback import LOOPBACK_ORIGIN, LoopbackHost
from server.dev.issuer.metadata import issuer_metadata
from server.dev.issuer.provider import OPENID_SCOPES, DevelopmentProvider
from server.dev.issuer.sign_in import SignInRoutes
from server.dev.issuer.tokens import ACCESS_LIFETIME_S, COMMAND_LINE_CLIENT, Algorithm, Tokens, access_claims
from server.dev.people import Person
from server.errors import StartupError

_LARGEST_BODY_BYTES: Final = 64 * 1024
_CACHED: Final = {"Cache-Control": "public, max-age=300"}
# Only web pages of other loopback ports may read these answers.
_SHARED: Final = [
    Middleware(
        CORSMiddleware,
        allow_origin_regex=LOOPBACK_ORIGIN.pattern,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "MCP-Protocol-Version"],
    )
]
_READ: Final = ["GET", "OPTIONS"]
_SENT: Final = ["POST", "OPTIONS"]


class DevelopmentIssuer:
    """An OpenID Connect provider and OAuth 2.1 authorization server for sample people, on loopback."""

    def __init__(  # noqa: PLR0913 - what an issuer is made of
        self,
        url: str,
        folder: Path,
        resources: Sequence[str],
        people: Sequence[Person],
        scopes: Sequence[str],
        *,
        without_a_page: bool = False,
    ) -> None:
        """Issue tokens as `url`, for `resources`, with the keys in `folder`; StartupError when it is not loopback.

        `without_a_page` lets the web demo sign people in without the page where one is picked.
        """
        if not LOOPBACK_ORIGIN.fullmatch(url):
            raise StartupError(f"The development issuer {url!r} must be http://127.0.0.1:PORT, without a slash.")
        if not resources:
            raise StartupError("The development issuer needs at least one resource to issue tokens for; name one.")
        self.url = url
        self._resources = tuple(resources)
        self._scopes = tuple(scopes)
        self._people = {person.name: person for person in people}
        self._tokens = Tokens(url, SigningKeys(folder))
        silent = self._people if without_a_page else {}
        self._provider = DevelopmentProvider(url, self._resources, self._scopes, self._tokens, silent)
        self.app = _application(self._provider, self._people)

    def serve_for_people(self, path: str, answer: Callable[[Request], Awaitable[Response]], method: str) -> None:
        """Add an address that only a signed-in person reads, with the access token of this issuer."""
        route = Route(path, answer, methods=[method, "OPTIONS"], middleware=_for_people(self._provider))
        self.app.router.routes.append(route)

    def mint(  # noqa: PLR0913 - all but the person are rare and named
        self,
        person: Person | str,
        *,
        lifetime_s: int = ACCESS_LIFETIME_S,
        scopes: Sequence[str] | None = None,
        resource: str | None = None,
        client_id: str = COMMAND_LINE_CLIENT,
        algorithm: Algorithm = "RS256",
        **overrides: Any,
    ) -> str:
        """Return an access token of `person`; `overrides` set claims, None removes one; StartupError if unknown."""
        known = self._people.get(person) if isinstance(person, str) else person
        if known is None:
            raise StartupError(f"The sample person {person!r} does not exist; use one of {', '.join(self._people)}.")
        granted = self._scopes if scopes is None else scopes
        claims = access_claims(known, client_id, granted, resource or self._resources[0])
        return self._tokens.access({**claims, **overrides}, lifetime_s=lifetime_s, algorithm=algorithm)

    def mint_client(self, client_id: str, scopes: Sequence[str]) -> str:
        """Return the token of a client that acts for itself: `sub` is the client, and there are no groups."""
        return self._tokens.for_client(client_id, scopes, self._resources[0]).access_token

    def rotate(self) -> str:
        """Sign access tokens with a new RS256 key from now on and return its `kid`; the old ones stay published."""
        return self._tokens.keys.rotate()


def _application(provider: DevelopmentProvider, people: Mapping[str, Person]) -> Starlette:
    """Return the application in which `people` sign in at `provider`."""
    scopes = [*provider.scopes, *OPENID_SCOPES]
    metadata = JSONResponse(issuer_metadata(provider.issuer, scopes), headers=_CACHED)
    registration = ClientRegistrationOptions(enabled=True, valid_scopes=scopes, default_scopes=scopes)
    endpoints, sign_in = Endpoints(provider), SignInRoutes(provider, people)

    async def key_set(_request: Request) -> Response:
        return JSONResponse(provider.tokens.keys.published(), headers=_CACHED)

    routes = [
        Route("/.well-known/openid-configuration", metadata, methods=_READ, middleware=_SHARED),
        Route("/.well-known/oauth-authorization-server", metadata, methods=_READ, middleware=_SHARED),
        Route("/.well-known/jwks.json", key_set, methods=_READ, middleware=_SHARED),
        Route("/authorize", endpoints.authorize, methods=["GET", "POST"]),
        Route("/sign-in", sign_in.ask, methods=["GET"]),
        Route("/sign-in", sign_in.answer, methods=["POST"]),
        Route("/token", endpoints.token, methods=_SENT, middleware=_SHARED),
        Route("/register", RegistrationHandler(provider, registration).handle, methods=_SENT, middleware=_SHARED),
        Route("/revoke", endpoints.revoke, methods=_SENT, middleware=_SHARED),
        Route("/userinfo", sign_in.userinfo, methods=["GET", "POST", "OPTIONS"], middleware=_for_people(provider)),
        Route("/logout", sign_in.logout, methods=["GET", "POST"]),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(LoopbackHost)], max_body_size=_LARGEST_BODY_BYTES)
    # A redirect would be built from the Host header.
    app.router.redirect_slashes = False
    return app


def _for_people(provider: DevelopmentProvider) -> list[Middleware]:
    """Return the checks before an address that only a signed-in person reads."""
    return [
        *_SHARED,
        Middleware(AuthenticationMiddleware, backend=BearerAuthBackend(provider)),
        Middleware(RequireAuthMiddleware, required_scopes=["openid"]),
    ]
