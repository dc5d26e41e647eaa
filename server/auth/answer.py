"""What the gate answers: JSON-RPC errors over HTTP, and the protocol's own answers on their way out."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import JSONResponse, Response
from starlette.types import Message, Send

from server.auth.metadata import ResourceMetadata
from server.errors import ForbiddenError, ScopeMissingError
from server.exchange import Exchange


class Answer:
    """The `send` of one request: it remembers the status, and makes a 403 of a refusal that came from the protocol."""

    def __init__(self, send: Send, metadata: ResourceMetadata, added: list[tuple[bytes, bytes]]) -> None:
        self._send: Final = send
        self._metadata: Final = metadata
        self._added: Final = added
        self.exchange: Exchange | None = None
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        """Send one ASGI message, its status and headers amended."""
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *self._added]}
            if self.exchange is not None and self.exchange.refusal is not None:
                self._refuse(message, self.exchange.refusal)
            self.status = message["status"]
        await self._send(message)

    def _refuse(self, message: Message, refusal: ForbiddenError) -> None:
        message["status"] = 403
        if isinstance(refusal, ScopeMissingError):
            challenge = self._metadata.challenge("insufficient_scope", refusal.scopes)
            message["headers"].append((b"www-authenticate", challenge.encode()))


def error_response(status: int, code: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON-RPC error over HTTP, so that a client can show the reason."""
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return JSONResponse(body, status_code=status, headers={"cache-control": "no-store", **(headers or {})})
