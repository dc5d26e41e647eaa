"""The development identity provider: sign in as a sample person, get tokens in the shape of Amazon Cognito's.

It is a stand-in for loopback only: there are no passwords. A person opens the sign-in page that an MCP client or a
browser is sent to, picks a name and is sent back. A program without a browser does the same in three requests:

    GET  /authorize?response_type=code&client_id=tenantgate-web&redirect_uri=http://127.0.0.1:9/callback
         &code_challenge=…&code_challenge_method=S256&scope=openid+claims:read   → 302 to /sign-in?transaction=…
    POST /sign-in   transaction=…&person=john-regular                            → 303 to redirect_uri?code=…&iss=…
    POST /token     grant_type=authorization_code&client_id=tenantgate-web&code=…&redirect_uri=…&code_verifier=…

`nonce`, `state`, `resource` and `login_hint=PERSON` (which preselects) go into the first request. Ready-made clients:
`tenantgate-web` (public, any loopback redirect URI) and `nightly-report` with the secret `nightly-report-secret`
(client_credentials). Other clients register at /register or use the address of their metadata document as client_id.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from mcp.server.auth.routes import create_auth_routes
from mcp.server.auth.settings import ClientRegistrationOptions, RevocationOptions
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from server.dev.issuer.discovery import Discovery, exact_issuer, issuer_metadata
from server.dev.issuer.endpoints import Authorize, ClientForm, Token
from server.dev.issuer.keys import SigningKeys
from server.dev.issuer.loopback import LoopbackHost, shared_with_loopback_pages
from server.dev.issuer.people import SignInRoutes
from server.dev.issuer.provider import OPENID_SCOPES, DevelopmentProvider
from server.dev.issuer.tokens import ACCESS_LIFETIME_S, Algorithm, Tokens, access_claims, machine_claims
from server.dev.people import Person
from server.dev.running import COMMAND_LINE_CLIENT
from server.dev.sample import PEOPLE
from server.errors import StartupError

_ISSUER: Final = re.compile(r"http://(127\.0\.0\.1|localhost)(:[0-9]{1,5})?")
_LARGEST_BODY_BYTES: Final = 64 * 1024


class DevelopmentIssuer:
    """An OpenID Connect provider and OAuth 2.1 authorization server for sample people, on loopback."""

    def __init__(
        self,
        url: str,
        folder: Path,
        resources: Sequence[str],
        people: Sequence[Person] = PEOPLE,
        scopes: Sequence[str] = ("claims:read", "policies:read"),
    ) -> None:
        """Issue tokens as `url`, for `resources`, with the keys in `folder`; StartupError off loopback."""
        if not _ISSUER.fullmatch(url):
            raise StartupError(f"The development issuer {url!r} must be http://127.0.0.1:PORT, without a slash.")
        if not resources:
            raise StartupError("The development issuer needs at least one resource to issue tokens for.")
        self.url = url
        self._resources = tuple(resources)
        self._scopes = tuple(scopes)
        self._people = {person.name: person for person in people}
        self._tokens = Tokens(url, SigningKeys(folder))
        self.app = self._application()

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
            raise StartupError(f"There is no sample person {person!r}; use one of {', '.join(self._people)}.")
        granted = self._scopes if scopes is None else scopes
        claims = access_claims(known, client_id, granted, resource or self._resources[0])
        return self._tokens.access({**claims, **overrides}, lifetime_s=lifetime_s, algorithm=algorithm)

    def mint_client(
        self,
        client_id: str,
        scopes: Sequence[str],
        *,
        lifetime_s: int = ACCESS_LIFETIME_S,
        resource: str | None = None,
    ) -> str:
        """Return the token of a client that acts for itself: `sub` is the client, there are no groups."""
        claims = machine_claims(client_id, scopes, resource or self._resources[0])
        return self._tokens.access(claims, lifetime_s=lifetime_s)

    def rotate(self) -> str:
        """Sign access tokens with a new RS256 key from now on and return its `kid`; the old ones stay published."""
        return self._tokens.keys.add("access-rs256").kid

    def _application(self) -> Starlette:
        provider = DevelopmentProvider(self.url, self._resources, self._scopes, self._tokens)
        all_scopes = [*self._scopes, *OPENID_SCOPES]
        registration = ClientRegistrationOptions(enabled=True, valid_scopes=all_scopes, default_scopes=all_scopes)
        revocation = RevocationOptions(enabled=True)
        discovery = Discovery(issuer_metadata(self.url, registration, revocation), self._tokens.keys)
        sign_in = SignInRoutes(provider, tuple(self._people.values()))
        from_sdk = create_auth_routes(
            provider,
            exact_issuer(self.url),
            client_registration_options=registration,
            revocation_options=revocation,
        )
        routes: list[BaseRoute] = [
            *_described(discovery),
            *_wrapped({route.path: route for route in from_sdk}, provider),
            Route("/sign-in", sign_in.ask, methods=["GET"]),
            Route("/sign-in", sign_in.answer, methods=["POST"]),
            Route("/logout", sign_in.logout, methods=["GET", "POST"]),
            Route(
                "/userinfo",
                sign_in.userinfo,
                methods=["GET", "POST", "OPTIONS"],
                middleware=shared_with_loopback_pages("GET", "POST"),
            ),
        ]
        app = Starlette(routes=routes, middleware=[Middleware(LoopbackHost)], max_body_size=_LARGEST_BODY_BYTES)
        # A redirect would be built from the Host header.
        app.router.redirect_slashes = False
        return app


def _described(discovery: Discovery) -> list[Route]:
    """Return the routes of the documents about the issuer."""
    handlers = {
        "/.well-known/openid-configuration": discovery.metadata,
        "/.well-known/oauth-authorization-server": discovery.metadata,
        "/.well-known/jwks.json": discovery.key_set,
    }
    shared = shared_with_loopback_pages("GET")
    return [Route(path, handler, methods=["GET", "OPTIONS"], middleware=shared) for path, handler in handlers.items()]


def _wrapped(from_sdk: dict[str, Route], provider: DevelopmentProvider) -> list[Route]:
    """Return the SDK's routes behind what they lack; its metadata route is replaced by ours."""
    authorize, token, register, revoke = (
        from_sdk[path].app for path in ("/authorize", "/token", "/register", "/revoke")
    )
    shared = shared_with_loopback_pages("POST")
    methods = ["POST", "OPTIONS"]
    return [
        Route("/authorize", Authorize(authorize, provider), methods=["GET", "POST"]),
        Route("/token", ClientForm(Token(token, provider)), methods=methods, middleware=shared),
        Route("/register", register, methods=methods, middleware=shared),
        Route("/revoke", ClientForm(revoke), methods=methods, middleware=shared),
    ]
