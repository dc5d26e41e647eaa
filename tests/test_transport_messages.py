"""What stands in the body and in the headers that repeat it, in both protocol eras, behind a valid token."""

import json
from typing import Any

import pytest
from support.gate import MODERN, MODERN_META, Served

VERSION = "io.modelcontextprotocol/protocolVersion"
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"
CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami", "arguments": {}}}


def with_meta(**changes: object) -> dict[str, Any]:
    """Return the body's difference from a right modern call; None removes a key of `_meta`."""
    meta = {name: value for name, value in {**MODERN_META, **changes}.items() if value is not None}
    return {"params": {"name": "whoami", "arguments": {}, "_meta": meta}}


def test_a_correct_call_of_each_era_is_answered(served: Served) -> None:
    token = served.strict.token()
    assert served.modern(token, {}, {}).json()["result"]["structuredContent"]["tenant"] == "broker-a"
    assert served.post(token).json()["result"]["structuredContent"]["tenant"] == "broker-a"
    without_version = served.post(token, headers={"mcp-protocol-version": "2025-03-26"})
    assert without_version.status_code == 200


MODERN_REFUSALS: dict[str, tuple[dict[str, Any], dict[str, str | None], int, int]] = {
    "R13 the body names a handshake version": (with_meta(**{VERSION: "2025-11-25"}), {}, 400, -32020),
    "R13 the header names a handshake version": ({}, {"mcp-protocol-version": "2025-11-25"}, 400, -32020),
    "R13 the header is missing": ({}, {"mcp-protocol-version": None}, 400, -32020),
    "R14 Mcp-Method missing": ({}, {"mcp-method": None}, 400, -32020),
    "R14 Mcp-Method another": ({}, {"mcp-method": "tools/list"}, 400, -32020),
    "R14 Mcp-Name missing": ({}, {"mcp-name": None}, 400, -32020),
    "R14 Mcp-Name another": ({}, {"mcp-name": "query_claims"}, 400, -32020),
    "R14 Mcp-Name in capitals": ({}, {"mcp-name": "WHOAMI"}, 400, -32020),
    "R15 a version that does not exist": (
        with_meta(**{VERSION: "2099-01-01"}),
        {"mcp-protocol-version": "2099-01-01"},
        400,
        -32022,
    ),
    "R16 an unknown method": (
        {"method": "tools/drop", "params": {"_meta": MODERN_META}},
        {"mcp-method": "tools/drop", "mcp-name": None},
        404,
        -32601,
    ),
    "R17 no capabilities": (with_meta(**{CAPABILITIES: None}), {}, 400, -32602),
    "R17 no version in the body": (with_meta(**{VERSION: None}), {}, 400, -32602),
    "R17 no _meta": ({"params": {"name": "whoami", "arguments": {}}}, {}, 400, -32602),
}


@pytest.mark.parametrize("case", list(MODERN_REFUSALS))
def test_a_modern_request_that_contradicts_itself_is_refused(served: Served, case: str) -> None:
    body, headers, status, code = MODERN_REFUSALS[case]
    response = served.modern(served.strict.token(), body, headers)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    if case.startswith("R15"):
        assert MODERN in response.json()["error"]["data"]["supported"]


@pytest.mark.parametrize("name", ["mcp-method", "mcp-name", "mcp-protocol-version"])
@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
def test_a_routing_header_sent_twice_is_refused(served: Served, name: str, era: str) -> None:
    """R14: in the handshake era too, where the header may be read by whoever stands in front."""
    value = {"mcp-method": "tools/call", "mcp-name": "whoami", "mcp-protocol-version": era}
    body = CALL if era != MODERN else CALL | with_meta()
    headers = [(one.encode(), text.encode()) for one, text in value.items()] + [(name.encode(), value[name].encode())]
    headers += [
        (b"authorization", b"Bearer " + served.strict.token().encode()),
        (b"accept", b"application/json"),
        (b"content-type", b"application/json"),
    ]
    response = served.http.post(served.url, content=json.dumps(body).encode(), headers=headers)
    assert (response.status_code, response.json()["error"]["code"]) == (400, -32020)


NO_REQUEST = {
    "R18 a batch": [CALL],
    "R18 an empty batch": [],
    "R18 a posted result": {"jsonrpc": "2.0", "id": 1, "result": {}},
    "R18 a posted error": {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "x"}},
    "R18 id null": {**CALL, "id": None},
    "R18 id a fraction": {**CALL, "id": 1.5},
    "R18 id a whole fraction": {**CALL, "id": 1.0},
    "R18 id true": {**CALL, "id": True},
    "R18 id a list": {**CALL, "id": [1]},
    "another version of JSON-RPC": {**CALL, "jsonrpc": "1.0"},
    "no version of JSON-RPC": {"id": 1, "method": "ping"},
    "no method": {"jsonrpc": "2.0", "id": 1},
    "a method that is no text": {**CALL, "method": 7},
    "params a list": {**CALL, "params": [1]},
    "a text": "ping",
    "null": None,
}


@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
@pytest.mark.parametrize("case", list(NO_REQUEST))
def test_a_body_that_is_not_one_request_is_refused(served: Served, case: str, era: str) -> None:
    headers = {"mcp-protocol-version": era, "mcp-method": "tools/call", "mcp-name": "whoami"}
    response = served.send(served.strict.token(), json.dumps(NO_REQUEST[case]).encode(), headers)
    assert response.status_code == 400
    assert response.json()["id"] is None
    assert "input" not in response.text
    assert "pydantic" not in response.text


@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[" * 60_000,
        b"[" * 500,
        b'{"jsonrpc":"2.0","id":' + b"9" * 5_000 + b"}",
        b"\xef\xbb\xbf{}",
        b"NaN",
    ],
    ids=["empty", "cut off", "no UTF-8", "too deep", "deep", "a huge number", "BOM", "NaN"],
)
def test_a_body_that_is_not_json_is_refused_and_not_repeated(served: Served, body: bytes, era: str) -> None:
    """R22."""
    response = served.send(served.strict.token(), body, {"mcp-protocol-version": era})
    assert response.status_code == 400
    assert len(response.content) < 200


@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
def test_a_notification_is_acknowledged_and_dropped(served: Served, era: str) -> None:
    body = b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'
    response = served.send(served.strict.token(), body, {"mcp-protocol-version": era})
    assert (response.status_code, response.content) == (202, b"")


@pytest.mark.parametrize("version", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2099-01-01"])
def test_the_handshake_offers_a_version_that_is_served_and_needs_no_session(served: Served, version: str) -> None:
    params = {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    body = {"jsonrpc": "2.0", "id": "a", "method": "initialize", "params": params}
    response = served.http.post(
        served.url,
        json=body,
        headers={"authorization": f"Bearer {served.strict.token()}", "accept": "application/json, text/event-stream"},
    )
    result = response.json()["result"]
    assert result["protocolVersion"] == (version if version != "2099-01-01" else "2025-11-25")
    assert "mcp-session-id" not in response.headers
    assert response.headers["content-type"] == "application/json"


def test_a_client_that_accepts_no_json_reads_the_reason(served: Served) -> None:
    assert served.post(served.strict.token(), headers={"accept": "text/event-stream"}).status_code == 406


@pytest.mark.parametrize("method", ["resources/subscribe", "logging/setLevel", "completion/complete", "tools/drop", ""])
def test_an_unknown_method_of_the_handshake_era_is_reported_in_the_answer(served: Served, method: str) -> None:
    response = served.post(served.strict.token(), method=method, params={})
    assert response.json()["error"]["code"] in {-32601, -32602}
    assert response.json()["id"] == 1
