"""The development issuer's pages: plain HTML without script, that nothing can frame and that loads nothing."""

import base64
import hashlib
from collections.abc import Iterable
from html import escape
from typing import Final
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse

from server.dev.issuer.provider import SignIn
from server.dev.people import Person

_STYLE: Final = """
:root { color-scheme: light dark; --line: light-dark(#c9ced6, #414d5c); --quiet: light-dark(#55606f, #a5b1c2);
  --accent: light-dark(#0b5cad, #6fb3f2); --surface: light-dark(#fff, #161d26); --page: light-dark(#f3f5f8, #0f141a); }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem; background: var(--page);
  font: 1rem/1.5 system-ui, sans-serif; }
main { width: min(30rem, 100%); padding: 1.75rem; background: var(--surface); border: 1px solid var(--line);
  border-radius: .75rem; }
h1 { margin: 0 0 .25rem; font-size: 1.35rem; }
p { margin: .25rem 0; overflow-wrap: anywhere; }
p.quiet, span { color: var(--quiet); font-size: .9rem; }
fieldset { margin: 1.25rem 0; padding: 0; border: 0; }
legend { padding: 0; margin-bottom: .5rem; font-weight: 600; }
label { display: grid; grid-template-columns: auto 1fr; column-gap: .75rem; align-items: baseline; cursor: pointer;
  padding: .6rem .75rem; border: 1px solid var(--line); border-radius: .5rem; margin-bottom: .4rem; }
label:has(:checked) { border-color: var(--accent); outline: 1px solid var(--accent); }
label:focus-within, button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
label span { grid-column: 2; }
input { accent-color: var(--accent); }
button { font: inherit; padding: .55rem 1.1rem; border-radius: .5rem; border: 1px solid var(--line); cursor: pointer;
  background: transparent; color: inherit; }
button[value=allow] { background: var(--accent); border-color: var(--accent); font-weight: 600;
  color: light-dark(#fff, #0f141a); }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def sign_in_page(transaction: str, sign_in: SignIn, people: Iterable[Person]) -> HTMLResponse:
    """Return the page that asks who signs in; one form with the fields `transaction`, `person` and `decision`."""
    hint = sign_in.openid.login_hint
    choices = "\n".join(_choice(person, chosen=person.name == hint) for person in people)
    redirect_uri = str(sign_in.parameters.redirect_uri)
    main = f"""<h1>Sign in to tenantgate</h1>
<p><strong>{escape(sign_in.client_name)}</strong> asks for {escape(", ".join(sign_in.scopes))}.</p>
<p class="quiet">Afterwards the browser goes to {escape(_destination(redirect_uri))}.</p>
<form method="post" action="/sign-in">
<input type="hidden" name="transaction" value="{escape(transaction)}">
<fieldset>
<legend>Who are you?</legend>
{choices}
</fieldset>
<button name="decision" value="allow">Sign in</button>
<button name="decision" value="deny" formnovalidate>Cancel</button>
</form>
<p class="quiet">Development only: sample people, no passwords.</p>"""
    return _page("Sign in", main, form_target=redirect_uri)


def message_page(title: str, text: str, status: int) -> HTMLResponse:
    """Return a page that says one thing."""
    return _page(title, f"<h1>{escape(title)}</h1>\n<p>{escape(text)}</p>", status=status)


def _choice(person: Person, *, chosen: bool) -> str:
    tenant = f"tenant {person.tenant}" if person.tenant is not None else "no tenant"
    groups = ", ".join(person.groups) if person.groups else "no group"
    checked = " checked" if chosen else ""
    name = escape(person.name)
    return (
        f'<label><input type="radio" name="person" value="{name}" required{checked}>'
        f" <strong>{name}</strong> <span>{escape(tenant)} · {escape(groups)}</span></label>"
    )


def _page(title: str, main: str, *, status: int = 200, form_target: str | None = None) -> HTMLResponse:
    html = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)} - tenantgate development</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
{main}
</main>
</body>
</html>
"""
    # Browsers apply form-action to the redirect that answers a form as well, so the client's address must be in it.
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


def _destination(redirect_uri: str) -> str:
    """Return the part of a redirect URI by which a person can recognise it."""
    parts = urlsplit(redirect_uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else f"{parts.scheme}:"


def _policy_source(redirect_uri: str) -> str:
    """Return the redirect URI as a source of a content security policy, which knows no IPv6 addresses."""
    parts = urlsplit(redirect_uri)
    if parts.scheme not in {"http", "https"} or "[" in parts.netloc:
        return f"{parts.scheme}:"
    return f"{parts.scheme}://{parts.netloc}"
