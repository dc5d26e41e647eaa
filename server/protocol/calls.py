"""The short way of the one hot method: a plain tools/call is answered in the request's own task."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

from mcp.server.streamable_http import check_accept_headers
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import ERROR_CODE_HTTP_STATUS, InboundModernRoute, classify_inbound_request
from mcp_types import DEFAULT_NEGOTIATED_VERSION, PROTOCOL_VERSION_META_KEY, SERVER_INFO_META_KEY, methods
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.exchange import Exchange
from server.protocol.surface import Protocol

_METHOD: Final = "tools/call"
_ROUTING: Final = ("mcp-protocol-version", "mcp-method", "mcp-name")
_ENVELOPE: Final = frozenset({"jsonrpc", "id", "method", "params"})
_Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class _Call:
    id: int | str
    name: str
    arguments: dict[str, Any]
    modern: bool


class ToolCalls:
    """An ASGI application that answers plain calls itself and hands everything else to the SDK's way, `rest`.

    The SDK turns a result into objects and back four times, which costs more than the call. Here it is written once.
    What is plain is judged by the SDK's own functions, and whatever they would refuse is left to `rest` to refuse.
    """

    def __init__(self, protocol: Protocol, rest: ASGIApp) -> None:
        """Answer from the tools of `protocol`."""
        self._protocol: Final = protocol
        self._rest: Final = rest
        stamp = to_json({SERVER_INFO_META_KEY: protocol.server.server_info_stamp})
        self._modern_end: Final = b',"resultType":"complete","_meta":' + stamp + b"}}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one POST, whose whole body the gate passes as one message."""
        message = await receive()
        call = _plain_call(scope["headers"], message["body"])
        if call is None:
            await self._rest(scope, _once_more(message, receive), send)
            return
        status, body = await self._answer(call, Exchange.of(scope))
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, call: _Call, exchange: Exchange) -> tuple[int, bytes]:
        """Return the HTTP status and the JSON-RPC response."""
        begin = b'{"jsonrpc":"2.0","id":' + to_json(call.id)
        try:
            answer = await self._protocol.call(call.name, call.arguments, exchange)
        except MCPError as error:
            told = error.error.model_dump_json(exclude_none=True).encode()
            status = ERROR_CODE_HTTP_STATUS.get(error.error.code, 200) if call.modern else 200
            return status, begin + b',"error":' + told + b"}"
        content = b',"result":{"content":[{"type":"text","text":' + to_json(answer.text) + b"}]"
        structured = b"" if answer.failed else b',"structuredContent":' + answer.text.encode()
        failed = b',"isError":true' if answer.failed else b',"isError":false'
        return 200, begin + content + structured + failed + (self._modern_end if call.modern else b"}}")


def _once_more(message: Message, receive: Receive) -> Receive:
    """Return a `receive` that gives `message` again before what follows it."""
    messages = [message]

    async def replay() -> Message:
        return messages.pop() if messages else await receive()

    return replay


def _plain_call(headers: _Headers, body: bytes) -> _Call | None:
    """Return the call when this is a well-formed tools/call with nothing unusual about it, else None."""
    given = dict(headers)
    version = given.get(b"mcp-protocol-version", DEFAULT_NEGOTIATED_VERSION.encode()).decode("latin-1")
    modern = version in MODERN_PROTOCOL_VERSIONS
    if len(given) != len(headers) or not _accepts_json(given.get(b"accept", b"")):
        return None
    if not modern and version not in HANDSHAKE_PROTOCOL_VERSIONS:
        return None
    try:
        request = _call_in(from_json(body, allow_inf_nan=False))
        if request is None:
            return None
        params = cast("dict[str, Any]", request["params"])
        methods.validate_client_request(_METHOD, version, params)
    except (ValueError, ValidationError):
        return None
    if not (_agrees(request, given) if modern else _claims_no_version(params)):
        return None
    return _Call(request["id"], params["name"], params.get("arguments") or {}, modern)


def _call_in(body: Any) -> dict[str, Any] | None:
    """Return `body` when it is a JSON-RPC request of this method, and nothing besides."""
    request = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    if request.keys() != _ENVELOPE or request["jsonrpc"] != "2.0" or request["method"] != _METHOD:
        return None
    return request if type(request["id"]) in {int, str} and isinstance(request["params"], dict) else None


def _agrees(request: dict[str, Any], given: dict[bytes, bytes]) -> bool:
    """Whether the headers that repeat the body do so rightly (2026-07-28 transport); no tool repeats an argument."""
    if any(name.startswith(b"mcp-param-") for name in given):
        return False
    routing = {name: given[name.encode()].decode("latin-1") for name in _ROUTING if name.encode() in given}
    return isinstance(classify_inbound_request(request, headers=routing), InboundModernRoute)


def _claims_no_version(params: dict[str, Any]) -> bool:
    """Whether a handshake-era body keeps off the later protocol's way of naming a version."""
    return PROTOCOL_VERSION_META_KEY not in (params.get("_meta") or {})


@lru_cache(256)
def _accepts_json(accept: bytes) -> bool:
    return check_accept_headers(Request({"type": "http", "headers": [(b"accept", accept)]}))[0]
