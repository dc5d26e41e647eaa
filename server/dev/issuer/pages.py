"""The development issuer's pages: plain HTML without scripts; they cannot be framed and load nothing."""

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

from server.dev.issuer.grants import SignIn
from server.dev.people import Person

_STYLE: Final = """
:root { color-scheme: light dark; accent-color: light-dark(#0b5cad, #6fb3f2); }
body { max-width: 30rem; margin: 10vh auto; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; }
p { overflow-wrap: anywhere; }
fieldset { margin: 1.25rem 0; padding: 0; border: 0; }
label { display: block; margin-top: .4rem; cursor: pointer; }
label, button { padding: .6rem .75rem; border: 1px solid light-dark(#c9ced6, #414d5c); border-radius: .5rem; }
label:has(:checked) { border-color: currentColor; }
button { font: inherit; background: transparent; color: inherit; cursor: pointer; }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def sign_in_page(transaction: str, sign_in: SignIn, people: Iterable[Person]) -> HTMLResponse:
    """Return the page that asks who signs in; one form with the fields `transaction`, `person` and `decision`."""
    choices = "\n".join(_choice(person, chosen=person.name == sign_in.login_hint) for person in people)
    redirect_uri = str(sign_in.parameters.redirect_uri)
    client = sign_in.client.client_name or sign_in.client.client_id
    main = f"""<h1>Sign in to tenantgate</h1>
<p><strong>{escape(client)}</strong> asks for {escape(", ".join(sign_in.scopes))}.</p>
<p>Afterwards the browser goes to {escape(redirect_uri)}.</p>
<form method="post" action="/sign-in">
<input type="hidden" name="transaction" value="{escape(transaction)}">
<fieldset>
<legend>Who are you?</legend>
{choices}
</fieldset>
<button name="decision" value="allow"><strong>Sign in</strong></button>
<button name="decision" value="deny" formnovalidate>Cancel</button>
</form>
<p>Development only: sample people, no passwords.</p>"""
    return _page("Sign in", main, form_target=redirect_uri)


def message_page(title: str, text: str, status: int = 200) -> HTMLResponse:
    """Return a page with one message."""
    return _page(title, f"<h1>{escape(title)}</h1>\n<p>{escape(text)}</p>", status=status)


def _choice(person: Person, *, chosen: bool) -> str:
    tenant = f"tenant {person.tenant}" if person.tenant is not None else "no tenant"
    groups = ", ".join(person.groups) or "no group"
    button = f'<input type="radio" name="person" value="{escape(person.name)}" required{" checked" if chosen else ""}>'
    return f"<label>{button} <strong>{escape(person.name)}</strong> {escape(tenant)} · {escape(groups)}</label>"


def _page(title: str, main: str, *, status: int = 200, form_target: str | None = None) -> HTMLResponse:
    html = f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} - tenantgate development</title>
<style>{_STYLE}</style>
<main>
{main}
</main>
"""
    # Browsers apply form-action also to the redirect after a form, so it must include the client's address.
    form_action = f"'self' {_policy_source(form_target)}" if form_target is not None else "'none'"
    policy = (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {form_action}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }
    return HTMLResponse(html, status, headers)


def _policy_source(redirect_uri: str) -> str:
    """Return the redirect URI as a source of a content security policy, which has no IPv6 addresses."""
    parts = urlsplit(redirect_uri)
    has_host = parts.scheme in {"http", "https"} and "[" not in parts.netloc
    return f"{parts.scheme}://{parts.netloc}" if has_host else f"{parts.scheme}:"
