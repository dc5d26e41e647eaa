"""Answers are for the caller alone: no cache keeps one that does not say otherwise."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_NAME: Final = b"cache-control"


class NotStored:
    """Adds `Cache-Control: no-store` (RFC 9111 section 5.2.2.5) to every answer without a Cache-Control of its own."""

    def __init__(self, app: ASGIApp) -> None:
        """Mark the answers of `app`."""
        self._app: Final = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the application."""

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", [])
                if all(name.lower() != _NAME for name, _ in headers):
                    message = {**message, "headers": [*headers, (_NAME, b"no-store")]}
            await send(message)

        await self._app(scope, receive, marked)
