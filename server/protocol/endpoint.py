"""The MCP endpoint behind the gate: each request of either protocol era is answered in its own task."""

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
    INVALID_REQUEST,
    PARSE_ERROR,
    PROTOCOL_VERSION_META_KEY,
    ErrorData,
    JSONRPCNotification,
    JSONRPCRequest,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from server.http.answer import error_response

_VERSION: Final = "mcp-protocol-version"
_TRANSPORT: Final = TransportContext(kind="streamable-http", can_send_request=False)
_log: Final = structlog.get_logger("endpoint")


class Endpoint:
    """Answers the handshake versions itself, without a session, and hands every other version to the SDK.

    The SDK runs a handshake-era request in tasks of its own, where a caller who leaves cannot be followed, and puts
    the text of unforeseen errors into the answer.
    """

    def __init__(self, server: Server[Any], modern: ASGIApp) -> None:
        """Answer from the handlers of `server`; `modern` is the SDK's endpoint over the same server."""
        self._server: Final = server
        self._modern: Final = modern

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one POST with one JSON answer."""
        # RFC 9110 section 5.5: blanks around a value are none of it; the HTTP parser leaves those at its end.
        scope = {**scope, "headers": [(name, value.strip(b" \t")) for name, value in scope["headers"]]}
        request = Request(scope, receive)
        version = request.headers.get(_VERSION)
        if version is not None and version not in HANDSHAKE_PROTOCOL_VERSIONS:
            await self._modern(scope, receive, send)
        else:
            await (await self._handshake(request, version))(scope, receive, send)

    async def _handshake(self, request: Request, version: str | None) -> Response:
        if not check_accept_headers(request)[0]:
            return error_response(406, INVALID_REQUEST, "The client must accept application/json.")
        try:
            body = pydantic_core.from_json(await request.body(), allow_inf_nan=False)
        except ValueError:
            return error_response(400, PARSE_ERROR, "The body is not JSON.")
        try:
            # Nothing that a client tells a server without sessions has an effect, so it is acknowledged and dropped.
            if isinstance(body, dict) and "id" not in body:
                JSONRPCNotification.model_validate(body)
                return Response(status_code=202)
            message = JSONRPCRequest.model_validate(body)
        except ValidationError:
            return error_response(400, INVALID_REQUEST, "The body must be one JSON-RPC request or notification.")
        if find_duplicated_routing_header(request.headers.items()) or _claimed_version(message) not in {None, version}:
            return error_response(400, HEADER_MISMATCH, "The headers and the body name different protocol versions.")
        return await self._answer(request, message, version)

    async def _answer(self, request: Request, message: JSONRPCRequest, version: str | None) -> Response:
        connection = Connection.from_envelope(version or DEFAULT_NEGOTIATED_VERSION, None, None)
        context = _OneRequest(message.id, ServerMessageMetadata(request_context=request))
        answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message.id}
        try:
            answer["result"] = await serve_one(
                self._server, context, message.method, message.params, connection=connection, lifespan_state={}
            )
        except Exception as error:  # noqa: BLE001  # whatever it is, its text is the operator's alone
            told = handler_exception_to_error_data(error)
            if told is None:
                _log.exception("a handler failed")
                told = ErrorData(code=INTERNAL_ERROR, message="Internal error; the operator has been told.")
            answer["error"] = told.model_dump(exclude_none=True)
        return Response(pydantic_core.to_json(answer), media_type="application/json")


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


def _claimed_version(message: JSONRPCRequest) -> Any:
    """Return the version that the body names as the 2026-07-28 protocol does, or None."""
    meta: Any = (message.params or {}).get("_meta")
    return cast("Mapping[str, Any]", meta).get(PROTOCOL_VERSION_META_KEY) if isinstance(meta, Mapping) else None
