"""Browsers in front of /mcp: exact origins alone may ask (CORS) and read the answer (Fetch standard, section 3.3)."""

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response

_REQUEST_HEADERS: Final = (
    "authorization, content-type, mcp-protocol-version, mcp-method, mcp-name, mcp-session-id, last-event-id, "
    "traceparent, tracestate"
)
_PREFLIGHT_KEPT_S: Final = 600


class Origins:
    """The origins that browsers may call from; without one listed, no browser may."""

    def __init__(self, allowed: Sequence[str]) -> None:
        """Prepare the headers of each origin once."""
        self._answers: Final = {
            origin.encode(): [
                (b"access-control-allow-origin", origin.encode()),
                (b"access-control-expose-headers", b"www-authenticate, retry-after"),
                (b"vary", b"origin"),
            ]
            for origin in allowed
        }

    def allows(self, origin: bytes | None) -> bool:
        """Whether a request may go on: from no browser, or from a listed origin."""
        return origin is None or origin in self._answers

    def headers(self, origin: bytes | None) -> list[tuple[bytes, bytes]]:
        """Return what lets the page of a listed origin read the answer."""
        return [] if origin is None else self._answers.get(origin, [])

    def preflight(self) -> Response:
        """Answer OPTIONS of a listed origin."""
        return Response(
            status_code=204,
            headers={
                "access-control-allow-methods": "POST",
                "access-control-allow-headers": _REQUEST_HEADERS,
                "access-control-max-age": str(_PREFLIGHT_KEPT_S),
            },
        )
