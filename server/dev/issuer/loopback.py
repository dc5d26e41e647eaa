"""What counts as this machine: the Host, the Origin and the addresses that the development issuer accepts."""

import re
from typing import Final
from urllib.parse import urlsplit

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_HOST: Final = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_ORIGIN: Final = r"http://(127\.0\.0\.1|localhost)(:[0-9]{1,5})?"


def is_loopback_url(url: str) -> bool:
    """Say whether `url` is an http or https address of this machine, without credentials in front of the host."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and host in LOOPBACK_HOSTS and "@" not in parts.netloc


class LoopbackHost:
    """Refuse a request whose Host is not this machine with 421, against DNS rebinding (RFC 9110 section 15.5.20)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 421."""
        if scope["type"] == "http" and not self._is_ours(scope):
            refusal = PlainTextResponse("This identity provider answers on loopback addresses only.\n", 421)
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, send)

    @staticmethod
    def _is_ours(scope: Scope) -> bool:
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        return len(hosts) == 1 and _HOST.fullmatch(hosts[0]) is not None


class WithoutOrigin:
    """Hide the Origin from the wrapped app: the SDK's routes answer any Origin with `*`, and none without one."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on without its Origin header."""
        headers = [(name, value) for name, value in scope["headers"] if name != b"origin"]
        await self.app({**scope, "headers": headers}, receive, send)


def shared_with_loopback_pages(*methods: str) -> list[Middleware]:
    """Return the middleware that lets web pages of other loopback ports, and no others, read the answer."""
    cross_origin = Middleware(
        CORSMiddleware,
        allow_origin_regex=_ORIGIN,
        allow_methods=[*methods, "OPTIONS"],
        allow_headers=["Authorization", "Content-Type", "MCP-Protocol-Version"],
    )
    return [cross_origin, Middleware(WithoutOrigin)]
