"""The security headers of every answer of the web demo: allowed scripts, allowed requests, caching."""

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from client_demo.web_settings import WebSettings

POPUP: Final = "/popup.html"


class SecurityHeaders:
    """Add headers to every answer that isolate the page: no foreign script, no frame, no referrer, no outdated page."""

    def __init__(self, app: ASGIApp, settings: WebSettings) -> None:
        """Write the policy once."""
        self._app: Final = app
        self._policy: Final = content_security_policy(settings)
        # In development the page signs people in without a window, in a hidden frame that ends on this page.
        framed = "'self'" if settings.development else "'none'"
        self._popup_policy: Final = self._policy.replace("frame-ancestors 'none'", f"frame-ancestors {framed}")
        self._headers: Final = {
            "Cross-Origin-Resource-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and add the headers to its answer."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                headers["Content-Security-Policy"] = self._popup_policy if scope["path"] == POPUP else self._policy
                # The last page of a sign-in window must keep its connection to the page that opened it.
                if scope["path"] != POPUP:
                    headers["Cross-Origin-Opener-Policy"] = "same-origin-allow-popups"
                # The names of assets change with their contents.
                kept = "public, max-age=31536000, immutable" if scope["path"].startswith("/assets/") else "no-cache"
                headers.setdefault("Cache-Control", kept)
            await send(message)

        await self._app(scope, receive, send_with_headers)


def content_security_policy(settings: WebSettings) -> str:
    """Return the policy: everything from this origin, requests also to the identity provider, nothing inline."""
    frames = f"'self' {settings.issuer}" if settings.development else "'none'"
    return "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "font-src 'self'",
            "img-src 'self' data:",
            f"connect-src 'self' {' '.join(settings.origins)}",
            f"frame-src {frames}",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
