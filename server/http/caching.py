"""Answers are for the caller alone: no cache keeps one that does not say otherwise."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NAME: Final = b"cache-control"


def not_stored(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer with `no-store`, unless they have a Cache-Control of their own."""
    return headers if any(name.lower() == _NAME for name, _ in headers) else [*headers, (_NAME, b"no-store")]


class NotStored:
    """Adds `Cache-Control: no-store` (RFC 9111 section 5.2.2.5) to every answer without a Cache-Control of its own."""

    def __init__(self, app: ASGIApp) -> None:
        """Mark the answers of `app`."""
        self._app: Final = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application."""

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": not_stored(list(message.get("headers", [])))}
            await send(message)

        await self._app(scope, receive, marked)
