"""A call is judged like others of its kind only where nothing in it could be judged otherwise."""

from typing import Any

import pytest
from mcp_types import CallToolRequestParams

from server.protocol.plain import _accepted_like_others, _is_accepted

MODERN = "2026-07-28"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES_KEY = "io.modelcontextprotocol/clientCapabilities"
META: dict[str, Any] = {VERSION_KEY: MODERN, CAPABILITIES_KEY: {}}


def headers(**changed: str) -> dict[bytes, bytes]:
    usual = {"mcp-protocol-version": MODERN, "mcp-method": "tools/call", "mcp-name": "whoami"}
    named = usual | {name.replace("_", "-"): value for name, value in changed.items()}
    return {name.encode(): value.encode() for name, value in named.items()}


@pytest.mark.parametrize(
    "meta",
    [
        META,
        {},
        META | {"progressToken": 1},
        META | {"progressToken": "one"},
        META | {"progressToken": 1.5},
        META | {"progressToken": float("inf")},
        META | {"progressToken": [1]},
        META | {VERSION_KEY: "2025-11-25"},
        META | {VERSION_KEY: None},
        META | {CAPABILITIES_KEY: None},
        META | {CAPABILITIES_KEY: {"sampling": {}, "roots": {"listChanged": True}}},
        META | {CAPABILITIES_KEY: {"sampling": 1}},
        META | {"io.modelcontextprotocol/clientInfo": {"name": "x", "version": "1"}},
        META | {"io.modelcontextprotocol/clientInfo": {"name": 1}},
        META | {"other": {"deep": [1, None, "\u00e9", 2**70]}},
    ],
)
@pytest.mark.parametrize("arguments", [{}, {"arguments": {}}, {"arguments": {"limit": 5, "a": [{"b": None}]}}])
def test_a_call_is_judged_as_the_sdk_judges_it_alone(meta: dict[str, Any], arguments: dict[str, Any]) -> None:
    params = {"name": "whoami", "_meta": meta, **arguments}
    message = {"jsonrpc": "2.0", "id": "seven", "method": "tools/call", "params": params}
    alone = _is_accepted(message, MODERN, params, CallToolRequestParams, headers())
    assert _accepted_like_others(MODERN, params, headers()) is alone


@pytest.mark.parametrize(
    ("params", "sent"),
    [
        ({"name": "whoami"}, headers()),
        ({"_meta": META}, headers()),
        ({"name": 1, "_meta": META}, headers()),
        ({"name": "other", "_meta": META}, headers()),
        ({"name": "whoami", "_meta": META, "arguments": None}, headers()),
        ({"name": "whoami", "_meta": META, "arguments": []}, headers()),
        ({"name": "who ami", "_meta": META}, headers(mcp_name="who ami")),
        ({"name": "a" * 65, "_meta": META}, headers(mcp_name="a" * 65)),
        ({"name": "whoami", "_meta": META}, headers(mcp_method="tools/list")),
        ({"name": "whoami", "_meta": META}, headers(mcp_name="=?base64?d2hvYW1p?=")),
        ({"name": "whoami", "_meta": META}, headers(mcp_protocol_version="2025-11-25")),
        ({"name": "whoami", "_meta": META}, headers(mcp_param_limit="5")),
        ({"name": "whoami", "_meta": META | {"long": "a" * 1_024}}, headers()),
        ({"name": "whoami", "_meta": META | {"half": "\ud800"}}, headers()),
    ],
)
def test_an_unusual_call_is_judged_alone(params: dict[str, Any], sent: dict[bytes, bytes]) -> None:
    assert _accepted_like_others(MODERN, params, sent) is None
