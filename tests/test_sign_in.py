"""Standard clients find their way from a 401 to a signed-in call, with no token made by hand."""

import base64
import hashlib
import secrets
from collections.abc import Iterator
from typing import Any

import anyio
import httpx2
import pytest
from conftest import MODERN
from mcp.shared.auth import OAuthToken
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from support.browser import Browser, query
from support.desktop import CALLBACK, Desktop
from support.listening import bound, listening

from server.dev.stack import Stack

DEDUCTIBLE = "What is the deductible for auto insurance?"


@pytest.fixture
def browser() -> Browser:
    return Browser("sarah-platinum")


@pytest.fixture
def desktop(stack: Stack, browser: Browser) -> Desktop:
    return Desktop(stack.addresses.mcp_url, browser)


@pytest.mark.parametrize("mode", ["auto", "legacy", MODERN])
def test_the_sdks_client_registers_signs_in_and_calls(stack, desktop, browser, mode) -> None:
    """R1, R31, R32: the 401, the resource's metadata and the issuer's lead a client that knows one address."""

    async def session() -> None:
        async with desktop.connected(mode) as client:
            tools = {tool.name for tool in (await client.list_tools()).tools}
            assert tools == {"query_claims", "search_policies", "summarize_claims", "whoami"}
            claims = (await client.call_tool("query_claims", {})).structured_content["claims"]
            assert {claim["claim_number"] for claim in claims} == {"CLM-B-001", "CLM-B-002"}
            found = await client.call_tool("search_policies", {"query": DEDUCTIBLE})
            assert "$500" in found.structured_content["passages"][0]["text"]

    anyio.run(session)
    assert len(browser.visited) == len(desktop.memory.tokens) == len(desktop.memory.clients) == 1
    asked = browser.asked()
    assert asked["resource"] == stack.addresses.mcp_url
    assert asked["code_challenge_method"] == "S256"
    assert set(asked["scope"].split()) >= {"claims:read", "policies:read"}
    assert query(desktop.arrived)["iss"] == stack.addresses.issuer


def test_an_expired_token_is_renewed_without_the_person_and_the_refresh_token_changes(desktop, browser) -> None:
    async def session() -> None:
        async with desktop.connected("auto") as client:
            await client.call_tool("whoami", {})
            desktop.provider.context.token_expiry_time = 1.0
            assert (await client.call_tool("whoami", {})).structured_content["tenant"] == "broker-b"

    anyio.run(session)
    assert len(browser.visited) == 1
    first, second = desktop.memory.tokens
    assert first.access_token != second.access_token
    assert first.refresh_token
    assert second.refresh_token not in {None, first.refresh_token}


def test_a_missing_scope_leads_to_a_sign_in_that_asks_for_it_too(stack, desktop, browser) -> None:
    """R65: the step-up names what the call needs; the client keeps what it had."""

    async def session() -> None:
        async with desktop.connected("auto") as client:
            await client.call_tool("whoami", {})
            narrow = stack.issuer.mint("sarah-platinum", scopes=["claims:read"])
            desktop.provider.context.client_metadata.scope = "claims:read"
            desktop.provider.context.current_tokens = OAuthToken(access_token=narrow, scope="claims:read")
            found = await client.call_tool("search_policies", {"query": DEDUCTIBLE})
            assert "$500" in found.structured_content["passages"][0]["text"]

    anyio.run(session)
    assert len(browser.visited) == 2
    assert set(browser.asked()["scope"].split()) >= {"claims:read", "policies:read"}


@pytest.fixture
def document() -> Iterator[str]:
    """A client ID metadata document, served on loopback by the client itself."""
    listener, origin = bound()
    url = f"{origin}/client.json"

    async def answer(_request: Request) -> Response:
        about: dict[str, Any] = {"client_id": url, "client_name": "Desktop", "redirect_uris": [CALLBACK]}
        return JSONResponse(about | {"token_endpoint_auth_method": "none"})

    with listening(Starlette(routes=[Route("/client.json", answer)]), listener):
        yield url


def test_a_client_with_a_metadata_document_signs_in_without_registering(desktop, browser, document) -> None:
    # The constructor takes https alone; what follows, the flow, is the SDK's own.
    desktop.provider.context.client_metadata_url = document

    async def session() -> None:
        async with desktop.connected("auto") as client:
            assert (await client.call_tool("whoami", {})).structured_content["tier"] == "platinum"

    anyio.run(session)
    assert browser.asked()["client_id"] == document
    assert [client.client_id for client in desktop.memory.clients] == [document]


def test_every_step_from_the_401_to_the_call_by_hand(stack, http, anonymous) -> None:
    """What VS Code, Cursor and Claude do, one request at a time, each address taken from the answer before."""
    challenge = anonymous.post("tools/list").headers["www-authenticate"]
    assert challenge.startswith("Bearer ")
    assert "error" not in challenge
    parameters = dict(part.split("=", 1) for part in challenge.removeprefix("Bearer ").split(", "))
    resource = http.get(parameters["resource_metadata"].strip('"')).json()
    assert resource["resource"] == stack.addresses.mcp_url
    (issuer,) = resource["authorization_servers"]
    about = http.get(f"{issuer}/.well-known/oauth-authorization-server").json()
    assert about["issuer"] == issuer
    registered = http.post(
        about["registration_endpoint"],
        json={
            "client_name": "Visual Studio Code",
            "redirect_uris": ["http://127.0.0.1:33418/", "http://127.0.0.1/", "https://vscode.dev/redirect"],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "application_type": "native",
            "scope": parameters["scope"].strip('"'),
        },
    )
    assert registered.status_code == 201, registered.text
    verifier = secrets.token_urlsafe(48)
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    # A native client listens on whatever port is free (RFC 8252 section 7.3).
    redirect_uri = "http://127.0.0.1:49152/"
    asked = {
        "response_type": "code",
        "client_id": registered.json()["client_id"],
        "redirect_uri": redirect_uri,
        "code_challenge": digest,
        "code_challenge_method": "S256",
        "state": "s",
        "scope": parameters["scope"].strip('"'),
        "resource": resource["resource"],
    }
    arrived = query(Browser("mike-broker-a").sign_in(str(httpx2.URL(about["authorization_endpoint"], params=asked))))
    assert (arrived["state"], arrived["iss"]) == ("s", issuer)
    form = {"grant_type": "authorization_code", "code": arrived["code"], "code_verifier": verifier}
    form |= {name: asked[name] for name in ("client_id", "redirect_uri", "resource")}
    tokens = http.post(about["token_endpoint"], data=form)
    assert tokens.status_code == 200, tokens.text
    called = http.post(
        stack.addresses.mcp_url,
        json={"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "query_claims", "arguments": {}}},
        headers={"authorization": f"Bearer {tokens.json()['access_token']}", "accept": "application/json"},
    )
    assert "CLM-A-001" in called.text
    assert "CLM-B" not in called.text
