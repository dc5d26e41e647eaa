"""The endpoint behind the gate: a plain tools/call is recognised and called, everything else goes the SDK's way."""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, Final, cast

from mcp.server.streamable_http import check_accept_headers
from mcp.shared.inbound import InboundModernRoute, classify_inbound_request
from mcp_types import DEFAULT_NEGOTIATED_VERSION, PROTOCOL_VERSION_META_KEY, methods
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from server.http.outcome import Outcome, VerifiedRequest
from server.protocol.calls import Call, ToolCalls

_METHOD: Final = "tools/call"
_ROUTING: Final = ("mcp-protocol-version", "mcp-method", "mcp-name")
_ENVELOPE: Final = frozenset({"jsonrpc", "id", "method", "params"})


class Endpoint:
    """Answers plain calls without the SDK, which turns a result into objects and back four times.

    What is plain is judged by the SDK's own functions, and whatever they would refuse is left to `rest` to refuse.
    """

    def __init__(self, calls: ToolCalls, rest: Callable[[VerifiedRequest], Awaitable[Outcome]]) -> None:
        """Call tools by `calls`."""
        self._calls: Final = calls
        self._rest: Final = rest

    async def __call__(self, request: VerifiedRequest) -> Outcome:
        """Return what the request came to."""
        call = plain_call(request)
        return await (self._rest(request) if call is None else self._calls(call, request))


def plain_call(request: VerifiedRequest) -> Call | None:
    """Return the call when this is a well-formed tools/call with nothing unusual about it, else None."""
    headers = request.headers
    version = headers.get(b"mcp-protocol-version", DEFAULT_NEGOTIATED_VERSION.encode()).decode("latin-1")
    modern = version in MODERN_PROTOCOL_VERSIONS
    if len(headers) != len(request.scope["headers"]) or not _accepts_json(headers.get(b"accept", b"")):
        return None
    if not modern and version not in HANDSHAKE_PROTOCOL_VERSIONS:
        return None
    try:
        message = _call_in(from_json(request.body, allow_inf_nan=False))
        if message is None:
            return None
        params = cast("dict[str, Any]", message["params"])
        arguments = _arguments_in(params)
        # Arguments that are not an object get our own sentence; everything else is refused by the SDK.
        methods.validate_client_request(
            _METHOD, version, params if arguments is not None else params | {"arguments": {}}
        )
    except (ValueError, ValidationError):
        return None
    if not (_agrees(message, headers) if modern else _claims_no_version(params)):
        return None
    return Call(message["id"], params["name"], arguments, modern)


def _call_in(body: Any) -> dict[str, Any] | None:
    """Return `body` when it is a JSON-RPC request of this method, and nothing besides."""
    message = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    if message.keys() != _ENVELOPE or message["jsonrpc"] != "2.0" or message["method"] != _METHOD:
        return None
    return message if type(message["id"]) in {int, str} and isinstance(message["params"], dict) else None


def _arguments_in(params: dict[str, Any]) -> dict[str, Any] | None:
    """Return the arguments, empty when none were sent, None when they are not an object."""
    given: Any = params.get("arguments")
    if given is None:
        return {}
    return cast("dict[str, Any]", given) if isinstance(given, dict) else None


def _agrees(message: dict[str, Any], headers: dict[bytes, bytes]) -> bool:
    """Whether the headers that repeat parts of the body agree with it (2026-07-28); no tool repeats an argument."""
    if any(name.startswith(b"mcp-param-") for name in headers):
        return False
    routing = {name: headers[name.encode()].decode("latin-1") for name in _ROUTING if name.encode() in headers}
    return isinstance(classify_inbound_request(message, headers=routing), InboundModernRoute)


def _claims_no_version(params: dict[str, Any]) -> bool:
    """Whether a handshake-era body does without the later protocol's way of naming a version."""
    return PROTOCOL_VERSION_META_KEY not in (params.get("_meta") or {})


@lru_cache(256)
def _accepts_json(accept: bytes) -> bool:
    return check_accept_headers(Request({"type": "http", "headers": [(b"accept", accept)]}))[0]
