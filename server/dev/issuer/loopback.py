"""Checks for this machine: the Host, the Origin and the addresses that the development servers accept."""

import re
from typing import Final

from pydantic import AnyUrl, ValidationError
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK_ORIGIN: Final = re.compile(r"http://(127\.0\.0\.1|localhost)(:[0-9]{1,5})?")
_HOST: Final = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)


def is_loopback_url(url: str | AnyUrl) -> bool:
    """Return whether `url` is an http or https address of this machine, without credentials before the host."""
    try:
        parsed = AnyUrl(url)
    except ValidationError:
        return False
    on_this_machine = parsed.scheme in {"http", "https"} and parsed.host in {"127.0.0.1", "localhost", "[::1]"}
    return on_this_machine and parsed.username is None and parsed.password is None


class LoopbackHost:
    """Refuse a request whose Host is not this machine with 421, against DNS rebinding (RFC 9110 section 15.5.20)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 421."""
        hosts = Headers(scope=scope).getlist("host") if scope["type"] == "http" else ["localhost"]
        if len(hosts) == 1 and _HOST.fullmatch(hosts[0]):
            await self._app(scope, receive, send)
        else:
            refusal = PlainTextResponse("This development server answers on loopback addresses only.\n", 421)
            await refusal(scope, receive, send)
