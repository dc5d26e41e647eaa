"""Every request that is not a plain tools/call: answered by the SDK in the request's own task, its answer a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

import anyio
import pydantic_core
import structlog
from mcp.server import Server
from mcp.server.connection import Connection
from mcp.server.runner import serve_one
from mcp.server.streamable_http import check_accept_headers
from mcp.shared.exceptions import NoBackChannelError
from mcp.shared.inbound import find_duplicated_routing_header
from mcp.shared.jsonrpc_dispatcher import handler_exception_to_error_data
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types import (
    DEFAULT_NEGOTIATED_VERSION,
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    PROTOCOL_VERSION_META_KEY,
    ErrorData,
    JSONRPCNotification,
    JSONRPCRequest,
    methods,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import ValidationError
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Scope

from server.http.outcome import JSON, Outcome, VerifiedRequest, refusal
from server.protocol.calls import NO_OBJECT
from server.protocol.surface import Pending

_VERSION: Final = "mcp-protocol-version"
_METHODS: Final = methods.SPEC_CLIENT_METHODS | methods.SPEC_CLIENT_NOTIFICATION_METHODS
_TRANSPORT: Final = TransportContext(kind="streamable-http", can_send_request=False)
_log: Final = structlog.get_logger("endpoint")


class SdkEndpoint:
    """Answers the handshake versions itself, without a session, and hands every other version to the SDK's transport.

    The SDK runs a handshake-era request in tasks of its own, where a caller who leaves cannot be followed, and puts
    the text of unforeseen errors into the answer.
    """

    def __init__(self, server: Server[Any], modern: ASGIApp) -> None:
        """Answer from the handlers of `server`; `modern` is the SDK's transport over the same server."""
        self._server: Final = server
        self._modern: Final = modern

    async def __call__(self, request: VerifiedRequest, message: Any) -> Outcome:
        """Return what the request came to: what a tool call left, or else the SDK's own answer.

        `message` is what the body holds; the SDK's transport takes the bytes and parses them by itself.
        """
        pending = Pending(request)
        # RFC 9110 section 5.5: blanks around a value do not belong to it; the HTTP parser leaves those at its end.
        headers = [(name, value.strip(b" \t")) for name, value in request.scope["headers"]]
        scope = pending.attached({**request.scope, "headers": headers})
        version = Request(scope).headers.get(_VERSION)
        if version is not None and version not in HANDSHAKE_PROTOCOL_VERSIONS:
            answered = await _captured(self._modern, scope, request)
        else:
            answered = await self._handshake(Request(scope), version, request, message)
        return pending.called.result() if pending.called.done() else answered

    async def _handshake(self, http: Request, version: str | None, request: VerifiedRequest, body: Any) -> Outcome:
        def refused(status: int, code: int, message: str) -> Outcome:
            return refusal(status, code, message, request.decision())

        if not check_accept_headers(http)[0]:
            return refused(406, INVALID_REQUEST, "The Accept header must allow application/json.")
        try:
            # A notification has no effect on a server without sessions, so it is acknowledged and dropped.
            if isinstance(body, dict) and "id" not in body:
                notified = JSONRPCNotification.model_validate(body)
                return Outcome(202, b"", (), request.decision(mcp_method=_known(notified.method)))
            message = JSONRPCRequest.model_validate(body)
        except ValidationError:
            return refused(400, INVALID_REQUEST, "The body must be one JSON-RPC request or notification.")
        if find_duplicated_routing_header(http.headers.items()) or _claimed_version(message) not in (None, version):
            return refused(
                400,
                HEADER_MISMATCH,
                "The headers and the body name different protocol versions; send the same one in both.",
            )
        decision = request.decision(mcp_method=_known(message.method))
        return Outcome(200, await self._answer(http, message, version), JSON, decision)

    async def _answer(self, http: Request, message: JSONRPCRequest, version: str | None) -> bytes:
        connection = Connection.from_envelope(version or DEFAULT_NEGOTIATED_VERSION, None, None)
        context = _OneRequest(message.id, ServerMessageMetadata(request_context=http))
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message.id}
        try:
            answer["result"] = await serve_one(
                self._server, context, message.method, message.params, connection=connection, lifespan_state={}
            )
        except Exception as error:  # noqa: BLE001  # whatever it is, its text is for the operator alone
            failure = handler_exception_to_error_data(error)
            if failure is None:
                _log.exception("a handler failed")
                failure = ErrorData(
                    code=INTERNAL_ERROR,
                    message="Internal error; it was logged. Retry once; if it fails again, tell your administrator.",
                )
            elif failure.code == INVALID_PARAMS and _has_other_arguments(message):
                # The SDK does not say which parameter it is.
                failure = ErrorData(code=INVALID_PARAMS, message=NO_OBJECT)
            answer["error"] = failure.model_dump(exclude_none=True)
        return pydantic_core.to_json(answer)


async def _captured(app: ASGIApp, scope: Scope, request: VerifiedRequest) -> Outcome:
    """Run an ASGI application on the body that was read, and return its whole answer."""
    unread: list[Message] = [{"type": "http.request", "body": request.body, "more_body": False}]
    sent: list[Message] = []

    async def receive() -> Message:
        if not unread:
            # A reader that waits for more waits until the client leaves, and is cancelled with the request.
            await anyio.sleep_forever()
        return unread.pop()

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *parts = sent
    headers = tuple((name, value) for name, value in start["headers"] if name != b"content-length")
    # The SDK refuses a request whose header names another method than its body.
    named = request.headers.get(b"mcp-method", b"").decode("latin-1") if start["status"] == 200 else None
    body = b"".join(part.get("body", b"") for part in parts)
    return Outcome(start["status"], body, headers, request.decision(mcp_method=_known(named)))


def _known(method: Any) -> str | None:
    """Return a method of the protocol; what else a caller may name stays out of the record."""
    return method if isinstance(method, str) and method in _METHODS else None


@dataclass(slots=True)
class _OneRequest:
    """The SDK's dispatch context of a request whose only way back is its own answer."""

    request_id: int | str
    message_metadata: ServerMessageMetadata
    transport: TransportContext = _TRANSPORT
    cancel_requested: anyio.Event = field(default_factory=anyio.Event)
    can_send_request: bool = False

    async def send_raw_request(self, method: str, params: object, opts: object = None) -> dict[str, Any]:  # noqa: ARG002
        """Refuse: nobody would answer."""
        raise NoBackChannelError(method)

    async def notify(self, method: str, params: object, opts: object = None) -> None:
        """Drop it: there is no stream to put it on."""

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """Drop it: there is no stream to put it on."""


def _has_other_arguments(message: JSONRPCRequest) -> bool:
    """Whether `arguments` are there and are not an object, such as a text that holds JSON."""
    given: Any = (message.params or {}).get("arguments")
    return given is not None and not isinstance(given, dict)


def _claimed_version(message: JSONRPCRequest) -> Any:
    """Return the version that the body names as the 2026-07-28 protocol does, or None."""
    meta: Any = (message.params or {}).get("_meta")
    return cast("Mapping[str, Any]", meta).get(PROTOCOL_VERSION_META_KEY) if isinstance(meta, Mapping) else None
