"""Which requests need nothing of the SDK: well-formed ones, judged by the SDK's own functions."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, cast

from mcp.server.streamable_http import check_accept_headers
from mcp.shared.inbound import InboundModernRoute, classify_inbound_request
from mcp_types import (
    DEFAULT_NEGOTIATED_VERSION,
    PROTOCOL_VERSION_META_KEY,
    CallToolRequestParams,
    PaginatedRequestParams,
    RequestParams,
    methods,
)
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.requests import Request

from server.http.outcome import VerifiedRequest
from server.protocol.calls import Call

CALL: Final = "tools/call"
VERSION: Final = b"mcp-protocol-version"
_LISTS: Final = frozenset({"tools/list", "prompts/list", "resources/list", "resources/templates/list"})
_CALLED: Final = frozenset({"name", "arguments", "_meta"})
_LISTED: Final = frozenset({"cursor", "_meta"})
_ROUTING: Final = ("mcp-protocol-version", "mcp-method", "mcp-name")
_ENVELOPE: Final = frozenset({"jsonrpc", "id", "method"})
_PARAMETER: Final = b"mcp-param-"
# Of calls that are judged once for all that are alike: the tool's name, and the most bytes of `_meta`.
_USUAL_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_USUAL_META_BYTES: Final = 1_024


@dataclass(frozen=True, slots=True)
class PlainList:
    """A request for a list that is the same for everyone."""

    id: int | str
    method: str
    version: str


def plain_call(request: VerifiedRequest, body: Any) -> Call | None:
    """Return the call when `body` is a well-formed tools/call with nothing unusual about it, else None."""
    version = _version(request)
    message = _request_in(body)
    if version is None or message is None or message["method"] != CALL or "params" not in message:
        return None
    params: dict[str, Any] = message["params"]
    # What is refused here is judged by the SDK once more: of the rest it may be long.
    if not params.keys() <= _CALLED:
        return None
    arguments = _arguments_in(params)
    is_modern = version in MODERN_PROTOCOL_VERSIONS
    if not is_modern and arguments is not None and "_meta" not in params and isinstance(params.get("name"), str):
        # A name and an object: in the handshake era nothing is left that could be refused.
        return Call(message["id"], params["name"], arguments, modern=False)
    # Arguments that are not an object get our own sentence; everything else is refused by the SDK.
    checked: dict[str, Any] = params if arguments is not None else params | {"arguments": {}}
    is_accepted = _accepted_like_others(version, checked, request.headers) if is_modern else None
    if is_accepted is None:
        is_accepted = _is_accepted(message, version, checked, CallToolRequestParams, request.headers)
    if not is_accepted:
        return None
    return Call(message["id"], params["name"], arguments, is_modern)


def plain_list(request: VerifiedRequest, body: Any) -> PlainList | None:
    """Return the request when `body` is a well-formed one for a list with nothing unusual about it, else None."""
    version = _version(request)
    message = _request_in(body)
    if version is None or message is None or message["method"] not in _LISTS:
        return None
    params: dict[str, Any] = message.get("params", {})
    if not params.keys() <= _LISTED or not _is_accepted(
        message, version, params, PaginatedRequestParams, request.headers
    ):
        return None
    return PlainList(message["id"], message["method"], version)


def _version(request: VerifiedRequest) -> str | None:
    """Return the protocol version, None where the headers are unusual."""
    headers = request.headers
    if len(headers) != len(request.scope["headers"]) or not _accepts_json(headers.get(b"accept", b"")):
        return None
    version = headers.get(VERSION, DEFAULT_NEGOTIATED_VERSION.encode()).decode("latin-1")
    is_known = version in MODERN_PROTOCOL_VERSIONS or version in HANDSHAKE_PROTOCOL_VERSIONS
    return version if is_known else None


def _request_in(body: Any) -> dict[str, Any] | None:
    """Return `body` when it is a JSON-RPC request and nothing besides; its params, if it has any, are an object."""
    message = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    if (
        frozenset(message) - {"params"} != _ENVELOPE
        or message["jsonrpc"] != "2.0"
        or type(message["id"]) not in {int, str}
    ):
        return None
    is_plain = isinstance(message["method"], str) and isinstance(message.get("params", {}), dict)
    return message if is_plain else None


def _arguments_in(params: dict[str, Any]) -> dict[str, Any] | None:
    """Return the arguments, empty when none were sent, None when they are not an object."""
    given: Any = params.get("arguments")
    if given is None:
        return {}
    return cast("dict[str, Any]", given) if isinstance(given, dict) else None


def _accepted_like_others(version: str, params: dict[str, Any], headers: dict[bytes, bytes]) -> bool | None:
    """Return how the SDK judges calls that differ only in id and arguments from this one; None for an unusual one.

    Any object is accepted as arguments, and headers repeat the name of the tool and nothing of the arguments.
    """
    name, meta = params.get("name"), params.get("_meta")
    if (
        not isinstance(name, str)
        or not isinstance(meta, dict)
        or not isinstance(params.get("arguments", {}), dict)
        or not _USUAL_NAME.fullmatch(name)
        or headers.get(b"mcp-name") != name.encode()
        or headers.get(b"mcp-method") != CALL.encode()
        or headers.get(VERSION) != version.encode()
        or _PARAMETER in b" ".join(headers)
    ):
        return None
    try:
        text = to_json(meta, inf_nan_mode="constants")
    except ValueError:  # half of a surrogate pair
        return None
    return _accepts(version, name, text) if len(text) <= _USUAL_META_BYTES else None


@lru_cache(256)
def _accepts(version: str, name: str, meta: bytes) -> bool:
    """Whether the SDK accepts a call of the tool `name` with this `_meta`."""
    params: dict[str, Any] = {"name": name, "arguments": {}, "_meta": from_json(meta)}
    message = {"jsonrpc": "2.0", "id": 1, "method": CALL, "params": params}
    headers = {VERSION: version.encode(), b"mcp-method": CALL.encode(), b"mcp-name": name.encode()}
    return _is_accepted(message, version, params, CallToolRequestParams, headers)


def _is_accepted(
    message: dict[str, Any],
    version: str,
    params: dict[str, Any],
    model: type[RequestParams],
    headers: dict[bytes, bytes],
) -> bool:
    """Whether the SDK would accept the params; `model` is the form that its handlers want."""
    try:
        # The two that it asks: the protocol version's own form of the request, then that of its handlers.
        methods.validate_client_request(message["method"], version, params)
        model.model_validate(params, by_name=False)
    except (KeyError, ValueError, ValidationError):
        return False
    return _agrees(message, headers) if version in MODERN_PROTOCOL_VERSIONS else _claims_no_version(params)


def _agrees(message: dict[str, Any], headers: dict[bytes, bytes]) -> bool:
    """Whether the headers that repeat parts of the body agree with it (2026-07-28); no tool repeats an argument."""
    if any(name.startswith(_PARAMETER) for name in headers):
        return False
    routing = {name: headers[name.encode()].decode("latin-1") for name in _ROUTING if name.encode() in headers}
    return isinstance(classify_inbound_request(message, headers=routing), InboundModernRoute)


def _claims_no_version(params: dict[str, Any]) -> bool:
    """Whether a handshake-era body does without the later protocol's way of naming a version."""
    return PROTOCOL_VERSION_META_KEY not in (params.get("_meta") or {})


@lru_cache(256)
def _accepts_json(accept: bytes) -> bool:
    return check_accept_headers(Request({"type": "http", "headers": [(b"accept", accept)]}))[0]
