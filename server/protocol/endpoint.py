"""The endpoint behind the gate: a plain tools/call is recognised and called, everything else goes the SDK's way."""

from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, Final, cast

from mcp.server.streamable_http import check_accept_headers
from mcp.shared.inbound import InboundModernRoute, classify_inbound_request
from mcp_types import (
    DEFAULT_NEGOTIATED_VERSION,
    INVALID_REQUEST,
    PARSE_ERROR,
    PROTOCOL_VERSION_META_KEY,
    CallToolRequestParams,
    methods,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from server.http.outcome import Outcome, VerifiedRequest, refusal
from server.protocol.calls import Call, ToolCalls
from server.tenancy.context import Tenancy
from server.tenancy.limits import Limits

_METHOD: Final = "tools/call"
_VERSION: Final = b"mcp-protocol-version"
_ROUTING: Final = ("mcp-protocol-version", "mcp-method", "mcp-name")
# An answer repeats these, and no more than so much of them.
_ID_CHARACTERS: Final = 256
_ID_BITS: Final = 64
_METHOD_CHARACTERS: Final = 128
_VERSION_CHARACTERS: Final = 32
_ENVELOPE: Final = frozenset({"jsonrpc", "id", "method", "params"})


class Endpoint:
    """Answers plain calls without the SDK, which turns a result into objects and back four times.

    What is plain is judged by the SDK's own functions, and whatever they would refuse is left to `rest` to refuse. Both
    ways get what the body holds, parsed once.
    """

    def __init__(
        self,
        calls: ToolCalls,
        rest: Callable[[VerifiedRequest, Any], Awaitable[Outcome]],
        tenancy: Tenancy,
        limits: Limits,
    ) -> None:
        """Call tools by `calls`; charge what calls no tool to the tenant that `tenancy` finds."""
        self._calls: Final = calls
        self._rest: Final = rest
        self._tenancy: Final = tenancy
        self._limits: Final = limits

    async def __call__(self, request: VerifiedRequest) -> Outcome:
        """Return what the request came to; raises LimitError when its tenant's budget is used up."""
        try:
            message = from_json(request.body, allow_inf_nan=False)
        except ValueError:
            return _refused(request, PARSE_ERROR, "The body is not JSON.")
        if long := _too_long(message, request.headers):
            return _refused(request, INVALID_REQUEST, long)
        call = self.plain(request, message)
        if call is not None:
            return await self._calls(call, request)
        if not _is_call(message):
            await self._limits.charge(await self._tenancy.charged(request.token, request.asked))
        return await self._rest(request, message)

    def plain(self, request: VerifiedRequest, message: Any) -> Call | None:
        """Return the call that needs nothing of the SDK, else None."""
        return plain_call(request, message)


def plain_call(request: VerifiedRequest, body: Any) -> Call | None:
    """Return the call when `body` is a well-formed tools/call with nothing unusual about it, else None."""
    headers = request.headers
    version = headers.get(_VERSION, DEFAULT_NEGOTIATED_VERSION.encode()).decode("latin-1")
    modern = version in MODERN_PROTOCOL_VERSIONS
    if len(headers) != len(request.scope["headers"]) or not _accepts_json(headers.get(b"accept", b"")):
        return None
    if not modern and version not in HANDSHAKE_PROTOCOL_VERSIONS:
        return None
    try:
        message = _call_in(body)
        if message is None:
            return None
        params = cast("dict[str, Any]", message["params"])
        arguments = _arguments_in(params)
        # Arguments that are not an object get our own sentence; everything else is refused by the SDK.
        checked: dict[str, Any] = params if arguments is not None else params | {"arguments": {}}
        # The two that the SDK asks: the protocol version's own form of the request, then that of its handlers.
        methods.validate_client_request(_METHOD, version, checked)
        CallToolRequestParams.model_validate(checked, by_name=False)
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


def _is_call(message: Any) -> bool:
    return isinstance(message, dict) and cast("dict[str, Any]", message).get("method") == _METHOD


def _too_long(message: Any, headers: dict[bytes, bytes]) -> str | None:
    """Return what is too long of that which an answer repeats, as a sentence for the caller."""
    if len(headers.get(_VERSION, b"")) > _VERSION_CHARACTERS:
        return f"mcp-protocol-version must have at most {_VERSION_CHARACTERS} characters."
    fields = cast("dict[str, Any]", message) if isinstance(message, dict) else {}
    for name, most in (("id", _ID_CHARACTERS), ("method", _METHOD_CHARACTERS)):
        value: Any = fields.get(name)
        if isinstance(value, str) and len(value) > most:
            return f"{name} must have at most {most} characters."
        if isinstance(value, int) and value.bit_length() > _ID_BITS:
            return f"{name} must fit into {_ID_BITS} bits."
    return None


def _refused(request: VerifiedRequest, code: int, message: str) -> Outcome:
    return refusal(400, code, message, request.decision(refused=message))


@lru_cache(256)
def _accepts_json(accept: bytes) -> bool:
    return check_accept_headers(Request({"type": "http", "headers": [(b"accept", accept)]}))[0]
