"""The development issuer's pages for a browser: pick a person, sign out, and show who is signed in."""

from collections.abc import Mapping
from typing import cast

from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
from mcp.server.auth.provider import construct_redirect_uri
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from server.dev.issuer.loopback import is_loopback_url
from server.dev.issuer.pages import message_page, sign_in_page
from server.dev.issuer.provider import DevelopmentProvider
from server.dev.people import Person

_EXPIRED = "This sign-in was answered before or has expired. Go back to the application and start again."


class SignInRoutes:
    """The handlers of /sign-in, /logout and /userinfo."""

    def __init__(self, provider: DevelopmentProvider, people: Mapping[str, Person]) -> None:
        self._provider = provider
        self._people = people

    async def ask(self, request: Request) -> Response:
        """Answer `GET /sign-in?transaction=…` with the page that lists the people."""
        transaction = request.query_params.get("transaction", "")
        sign_in = self._provider.sign_in(transaction)
        if sign_in is None:
            return message_page("Start again", _EXPIRED, 400)
        return sign_in_page(transaction, sign_in, self._people.values())

    async def answer(self, request: Request) -> Response:
        """Answer `POST /sign-in` (`transaction`, `person`) with a redirect to the client; `decision=deny` refuses."""
        form = await request.form()
        person = self._people.get(str(form.get("person")))
        denied = form.get("decision") == "deny"
        if person is None and not denied:
            return message_page("No person was chosen", f"Go back and choose one of {', '.join(self._people)}.", 400)
        location = self._provider.finish(str(form.get("transaction")), None if denied else person)
        if location is None:
            return message_page("Start again", _EXPIRED, 400)
        # 303 turns the POST into a GET, so the form is never sent on to the client (RFC 9700 section 4.12).
        return RedirectResponse(location, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})

    async def logout(self, request: Request) -> Response:
        """Answer a sign-out; there is no session to end (OpenID Connect RP-Initiated Logout 1.0 section 2)."""
        parameters = await request.form() if request.method == "POST" else request.query_params
        target, state = (parameters.get(name) for name in ("post_logout_redirect_uri", "state"))
        if not isinstance(target, str):
            return message_page("Signed out", "You can close this page.")
        if not is_loopback_url(target):
            return message_page("Signed out", "The address to return to is not on this machine.", 400)
        location = construct_redirect_uri(target, state=state if isinstance(state, str) else None)
        return RedirectResponse(location, 303, {"Cache-Control": "no-store"})

    async def userinfo(self, request: Request) -> Response:
        """Return who the bearer is (OpenID Connect Core 1.0 section 5.3); the SDK's middleware verified the token."""
        claims = cast("AuthenticatedUser", request.user).access_token.claims or {}
        known = {name: claims[name] for name in ("sub", "cognito:groups", "custom:tenant_id") if name in claims}
        name = claims.get("username")
        return JSONResponse({**known, "name": name, "preferred_username": name}, headers={"Cache-Control": "no-store"})
