"""The gate over HTTP: challenges, Host and Origin, methods, bodies; each before or without a token where it must be."""

import asyncio
import gzip
import json
from typing import Any

import httpx2
import pytest
from support.gate import ACCEPT, BODY, CALL, METADATA, ORIGIN, RESOURCE, Served, request_bytes
from support.issuer import Issuer

from server.app import create_app
from server.auth.metadata import ResourceMetadata
from server.auth.verifier import TokenVerifier
from server.dev.stack import Stack
from server.http.gate import Gate
from server.http.outcome import Outcome, VerifiedRequest
from server.settings import AuditSettings, Settings
from server.tenancy.limits import Limits


def send(served: Served, method: str = "POST", path: str = "/mcp", **options: Any) -> httpx2.Response:
    """Send a request that is right but for `options`; a header of None is left out."""
    headers = {
        "authorization": f"Bearer {served.strict.token()}",
        "content-type": "application/json",
        "accept": ACCEPT,
        **options.pop("headers", {}),
    }
    given = {name: value for name, value in headers.items() if value is not None}
    return served.http.request(
        method,
        f"http://{served.host}{path}",
        headers=given,
        content=options.get("content", BODY),
        follow_redirects=False,
    )


def error_of(response: httpx2.Response) -> dict[str, object]:
    """Return the JSON-RPC error that every refusal carries."""
    body = response.json()
    assert (body["jsonrpc"], body["id"]) == ("2.0", None)
    return body["error"]


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"headers": {"authorization": None}}, id="R1 no token"),
        pytest.param({"headers": {"authorization": "Basic dXNlcjpwYXNz"}}, id="R2 Basic"),
        pytest.param({"headers": {"authorization": "Bearer"}}, id="R2 empty Bearer"),
        pytest.param({"headers": {"authorization": "TOKEN"}}, id="R2 no scheme"),
        pytest.param({"headers": {"authorization": None, "cookie": "access_token=TOKEN"}}, id="a cookie"),
        pytest.param({"headers": {"authorization": None}, "path": "/mcp?access_token=TOKEN"}, id="R3 query"),
        pytest.param(
            {
                "headers": {"authorization": None, "content-type": "application/x-www-form-urlencoded"},
                "content": b"access_token=TOKEN",
            },
            id="R4 form",
        ),
        pytest.param(
            {"headers": {"authorization": None}, "content": json.dumps({**CALL, "access_token": "TOKEN"})}, id="R4 body"
        ),
    ],
)
def test_a_token_outside_the_authorization_header_is_ignored(served: Served, options) -> None:
    """The challenge names no error, so that a client signs in rather than reports one."""
    token = served.strict.token()
    options = json.loads(json.dumps(options, default=bytes.decode).replace("TOKEN", token))
    response = send(served, **options)
    assert response.status_code == 401
    challenge = f'Bearer resource_metadata="{METADATA}"'
    assert response.headers["www-authenticate"] == challenge
    assert error_of(response)["code"] == -32001
    assert token not in response.text


def test_two_authorization_headers_are_ambiguous(served: Served) -> None:
    """R5."""
    token = served.strict.token().encode()
    headers = [(b"authorization", b"Bearer " + token)] * 2 + [(b"content-type", b"application/json")]
    response = served.http.post(served.url, content=BODY, headers=headers)
    assert response.status_code == 400
    assert 'error="invalid_request"' in response.headers["www-authenticate"]


@pytest.mark.parametrize("name", ["host", "origin", "content-type", "content-encoding"])
def test_a_header_that_decides_may_be_sent_once(served: Served, name: str) -> None:
    """R9, R22, R23: a proxy and this server could each read another one."""
    value = {"host": served.host, "origin": ORIGIN, "content-type": "application/json"}.get(name, "identity")
    answer = served.raw(request_bytes(served, (name, value), (name, value), skip=name))
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_each_request_of_a_connection_stands_alone(served: Served) -> None:
    """R7."""
    first = request_bytes(served, skip="connection")
    second = request_bytes(served, skip="authorization")
    answer = served.raw(first + second)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert answer.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 401 " in answer


@pytest.mark.parametrize(
    "origin",
    [
        *("null", "https://evil.example", "http://app.example.com", "https://app.example.com.evil.example", ""),
        *("https://app.example.com/", "https://APP.example.com", "https://app.example.com:443"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "OPTIONS", "GET"])
def test_a_foreign_origin_is_refused(served: Served, origin: str, method: str) -> None:
    """R8, R10: the server is bound to 0.0.0.0."""
    response = send(served, method, headers={"origin": origin, "access-control-request-method": "POST"})
    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers


def test_a_listed_origin_may_call_and_read_the_challenge(served: Served) -> None:
    for authorization, status in ((f"Bearer {served.strict.token()}", 200), (None, 401)):
        response = send(served, headers={"origin": ORIGIN, "authorization": authorization})
        assert response.status_code == status
        assert response.headers["access-control-allow-origin"] == ORIGIN
        assert "www-authenticate" in response.headers["access-control-expose-headers"]
        assert response.headers["vary"] == "origin"
        assert "access-control-allow-credentials" not in response.headers
    assert "access-control-allow-origin" not in send(served).headers


def test_a_preflight_is_answered_for_a_listed_origin_alone(served: Served) -> None:
    asked = {"authorization": None, "access-control-request-method": "POST"}
    response = send(served, "OPTIONS", headers={**asked, "origin": ORIGIN}, content=b"")
    assert response.status_code == 204
    assert response.headers["access-control-allow-methods"] == "POST"
    allowed = response.headers["access-control-allow-headers"]
    for name in ("authorization", "content-type", "mcp-protocol-version", "mcp-method", "mcp-name"):
        assert name in allowed
    assert send(served, "OPTIONS", headers=asked, content=b"").status_code == 405
    assert send(served, "OPTIONS", headers={"origin": ORIGIN}, content=b"").status_code == 405


@pytest.mark.parametrize(
    "host",
    [
        *("OWN:evil", "OWN@evil", "evil", "127.0.0.1", "localhost:PORT", "0.0.0.0:PORT", "OWN.", "OWN,evil", ""),
        *("OWN/mcp", "evil.example:PORT", "[::1]:PORT", "127.1:PORT", "mcp.example.com"),
    ],
)
def test_a_host_that_is_not_listed_is_refused(served: Served, host: str) -> None:
    """R9, R10."""
    port = str(served.port)
    host = host.replace("OWN", served.host).replace("PORT", port)
    answer = served.raw(request_bytes(served, ("host", host), skip="host"))
    assert answer[:13] in {b"HTTP/1.1 421 ", b"HTTP/1.1 400 "}


def test_a_request_without_a_host_is_refused(served: Served) -> None:
    """R9."""
    answer = served.raw(request_bytes(served, skip="host"))
    assert answer[:13] in {b"HTTP/1.1 421 ", b"HTTP/1.1 400 "}


@pytest.mark.parametrize("target", ["http://evil.example/mcp", "//evil.example/mcp", "*", "evil.example:80"])
def test_a_target_that_names_a_host_of_its_own_is_refused(served: Served, target: str) -> None:
    """R9: whom it means would be a matter of who reads it."""
    answer = served.raw(request_bytes(served, target=target))
    assert answer[:13] in {b"HTTP/1.1 400 ", b"HTTP/1.1 404 "}


@pytest.mark.parametrize("path", ["/mcp/", "//mcp", "/MCP", "/mcp/../mcp", "/./mcp", "/mcp;a=b", "/mcp%2f", "/mcp%00"])
def test_another_spelling_of_the_path_is_not_found_and_leads_nowhere(served: Served, path: str) -> None:
    """R11, R12."""
    for skip in ("authorization", "nothing"):
        answer = served.raw(request_bytes(served, target=path, skip=skip))
        assert answer.startswith(b"HTTP/1.1 404 ")
        assert b"location:" not in answer.lower()


@pytest.mark.parametrize("path", ["/%6dcp", "/mc%70", "/mcp?tenant=broker-b"])
def test_the_same_path_in_another_encoding_is_the_same_decision(served: Served, path: str) -> None:
    """R12."""
    assert served.raw(request_bytes(served, target=path)).startswith(b"HTTP/1.1 200 ")
    assert served.raw(request_bytes(served, target=path, skip="authorization")).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "PUT", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("authorization", ["with a token", None])
def test_only_post_is_answered_and_that_before_the_token_is_looked_at(served: Served, method, authorization) -> None:
    """R19."""
    headers = {} if authorization else {"authorization": None}
    response = send(served, method, headers=headers)
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert "www-authenticate" not in response.headers


@pytest.mark.parametrize("name", ["mcp-session-id", "last-event-id", "x-amzn-bedrock-agentcore-runtime-session-id"])
def test_session_headers_are_ignored_and_not_echoed(served: Served, name: str) -> None:
    """R20, R21."""
    foreign = "another-persons-session-0123456789abcdef"
    response = send(served, headers={name: foreign})
    assert response.status_code == 200
    assert foreign not in f"{response.headers} {response.text}"
    assert "mcp-session-id" not in response.headers
    assert response.json()["result"]["structuredContent"]["subject"] == "somebody"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("application/json; charset=utf-8", 200),
        ('Application/JSON; Charset="UTF-8"', 200),
        ("application/jsonfoo", 415),
        ("application/json; charset=utf-16", 415),
        ("application/json, text/plain", 415),
        ("text/plain", 415),
        ("text/plain; application/json", 415),
        ("multipart/form-data; boundary=x", 415),
        (None, 415),
    ],
)
def test_only_json_in_utf_8_is_read(served: Served, kind, status) -> None:
    """R22."""
    assert send(served, headers={"content-type": kind}).status_code == status


def test_a_body_in_utf_16_is_not_json(served: Served) -> None:
    """R22."""
    assert send(served, content=json.dumps(CALL).encode("utf-16")).status_code == 400


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "zstd", "identity, gzip", "x"])
def test_a_compressed_body_is_not_decompressed(served: Served, encoding: str) -> None:
    """R23."""
    bomb = gzip.compress(BODY + b" " * 5_000_000)
    assert send(served, headers={"content-encoding": encoding}, content=bomb).status_code == 415


def test_the_metadata_document_comes_from_the_settings(served: Served) -> None:
    """R31, R32, R33: whatever Host says; R11: and no variant of it redirects."""
    for path in ("/.well-known/oauth-protected-resource", "/.well-known/oauth-protected-resource/mcp"):
        for host in (served.host, "evil.example"):
            response = served.http.get(f"http://{served.host}{path}", headers={"host": host, "x-forwarded-host": host})
            document = response.json()
            assert document["resource"] == RESOURCE
            assert document["authorization_servers"] == [served.strict.url, served.cognito.url, served.plain.url]
            # The issuers of this server name the scopes differently: no list suits all of them.
            assert "scopes_supported" not in document
            assert document["bearer_methods_supported"] == ["header"]
        response = served.http.get(f"http://{served.host}{path}/", follow_redirects=False)
        assert response.status_code == 404


def test_the_document_is_also_where_a_resource_behind_a_prefix_says(stack) -> None:
    """RFC 9728 section 3.1: a platform that publishes the server under a path of its own."""
    settings = stack.settings.model_copy(
        update={"resource_url": "https://mcp.example.com/insurance/mcp", "audit": AuditSettings()}
    )
    path = "/.well-known/oauth-protected-resource/insurance/mcp"
    assert ResourceMetadata(settings, ("claims:read", "policies:read")).url == f"https://mcp.example.com{path}"

    async def asked() -> httpx2.Response:
        transport = httpx2.ASGITransport(create_app(settings))
        async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
            return await http.get(path)

    assert asyncio.run(asked()).json()["resource"] == settings.resource_url


@pytest.mark.parametrize("name", ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "x-real-ip"])
def test_forwarded_headers_have_no_effect(served: Served, name: str) -> None:
    """R29."""
    response = send(served, headers={name: "evil.example", "authorization": None})
    assert response.status_code == 401
    assert "evil" not in response.headers["www-authenticate"]
    assert send(served, headers={name: "evil.example"}).status_code == 200


def ask_a_gate(settings: Settings, token: str) -> httpx2.Response:
    """Return the answer of a gate of its own, with a verifier that has fetched nothing yet and a failing endpoint."""

    async def failing(_request: VerifiedRequest) -> Outcome:
        raise RuntimeError("secret detail")

    async def asked() -> httpx2.Response:
        verifier = TokenVerifier(settings, ("claims:read", "policies:read"))
        metadata = ResourceMetadata(settings, ("claims:read", "policies:read"))
        guarded = Gate(failing, settings, verifier, metadata, Limits(settings.limits))
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(guarded), base_url="http://test") as http:
            answer = await http.post("/mcp", content=BODY, headers=headers)
        await verifier.close()
        return answer

    return asyncio.run(asked())


def test_an_unforeseen_failure_is_answered_without_its_text_and_the_server_lives(stack: Stack) -> None:
    """R102."""
    settings = stack.settings.model_copy(update={"allowed_hosts": ("test",)})
    response = ask_a_gate(settings, stack.issuer.mint("mike-broker-a"))
    assert response.status_code == 500
    assert error_of(response) == {
        "code": -32603,
        "message": "Internal error; it was logged. Retry once; if it fails again, tell your administrator.",
    }


def test_an_issuer_whose_keys_cannot_be_had_is_an_outage_not_a_refusal(stack: Stack) -> None:
    """R101: the caller may retry, and need not sign in again."""
    absent = Issuer(aud=stack.settings.resource_url, token_use="access")
    absent.stop()
    issuer = stack.settings.issuers[0].model_copy(update={"issuer": absent.url})
    settings = stack.settings.model_copy(update={"allowed_hosts": ("test",), "issuers": (issuer,)})
    response = ask_a_gate(settings, absent.token())
    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert "www-authenticate" not in response.headers
    assert error_of(response)["code"] == -32005
