"""What the gate answers: JSON-RPC errors over HTTP, and the protocol's own answers on their way out."""

from collections.abc import Mapping
from typing import Any, Final

import structlog
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Send

from server.audit.trail import AuditTrail
from server.auth.metadata import ResourceMetadata
from server.errors import AuditError, ForbiddenError, LimitError, ScopeMissingError
from server.exchange import Exchange

UNAVAILABLE: Final = -32005
# What of a request's record is a decision; causes and times are the log's.
_RECORDED: Final = ("method", "issuer", "subject", "client", "tenant", "tier", "tool", "outcome", "refused", "status")
_log: Final = structlog.get_logger("audit")


class Answer:
    """The `send` of one request: it amends the response's start, and lets nothing out before it is recorded."""

    def __init__(
        self, send: Send, record: dict[str, Any], metadata: ResourceMetadata, trail: AuditTrail | None
    ) -> None:
        self._send: Final = send
        self._record: Final = record
        self._metadata: Final = metadata
        self._trail: Final = trail
        self._withheld = False
        self.added: list[tuple[bytes, bytes]] = []
        self.exchange: Exchange | None = None
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        """Send one ASGI message, its status and headers amended."""
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *self.added]}
            if self.exchange is not None and self.exchange.refusal is not None:
                self._refuse(message, self.exchange.refusal)
            self.status = message["status"]
            await self._recorded()
        if not self._withheld:
            await self._send(message)

    def _refuse(self, message: Message, refusal: ForbiddenError | LimitError) -> None:
        message["status"] = 429 if isinstance(refusal, LimitError) else 403
        if isinstance(refusal, LimitError):
            message["headers"].append((b"retry-after", str(refusal.retry_after_s).encode()))
        elif isinstance(refusal, ScopeMissingError):
            challenge = self._metadata.challenge("insufficient_scope", refusal.scopes)
            message["headers"].append((b"www-authenticate", challenge.encode()))

    async def _recorded(self) -> None:
        """Put the decision into the audit trail, or answer 503 in place of what cannot be recorded."""
        if self._trail is None:
            return
        self._record["status"] = self.status
        try:
            self._trail.append({name: self._record[name] for name in _RECORDED if name in self._record})
        except AuditError as error:
            _log.critical("the audit trail cannot be written", cause=repr(error.__cause__))
            self._withheld, self.status = True, 503
            await error_response(503, UNAVAILABLE, str(error), {"retry-after": "5"})(
                {"type": "http"}, _nothing, self._send
            )


async def _nothing() -> Message:
    return {"type": "http.disconnect"}


def error_response(status: int, code: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON-RPC error over HTTP, so that a client can show the reason."""
    body = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return JSONResponse(body, status_code=status, headers={"cache-control": "no-store", **(headers or {})})
