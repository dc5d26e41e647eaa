"""A person signs in at an identity provider that others wrote, NanoIDP, and the MCP SDK's client does all the rest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx2
import pytest
from mcp.client import Client
from mcp.shared.exceptions import MCPError
from support.browser import query
from support.desktop import Desktop
from support.listening import listening
from support.nanoidp import free_address, nanoidp_running

from server.app import create_app
from server.dev.people import Person
from server.dev.sample import PEOPLE
from server.dev.stack import Stack
from server.http.serving import listen
from server.settings import Settings

SCOPES = ["openid", "profile", "offline_access", "claims:read", "policies:read"]
DEDUCTIBLE = "What is the deductible for auto insurance?"
CLAIMS = {
    "broker-a": {"CLM-A-001", "CLM-A-002", "CLM-A-003"},
    "broker-b": {"CLM-B-001", "CLM-B-002"},
}


@dataclass
class AutoBrowser:
    """Signs in as `person` with no page in between, as NanoIDP offers to programs; `visited` holds the addresses."""

    person: str
    visited: list[str] = field(default_factory=list)

    def sign_in(self, authorize_url: str) -> str:
        self.visited.append(authorize_url)
        answer = httpx2.get(f"{authorize_url}&login_hint=persona-auto-login:{self.person}", trust_env=False)
        assert answer.status_code == 302, answer.text
        return answer.headers["location"]


def user(person: Person) -> dict[str, Any]:
    """Return a person as NanoIDP is told of them; without the empty ones, it adds a role and a tenant of its own."""
    attributes = {"tenant_id": person.tenant, "cognito:groups": list(person.groups)}
    return {"roles": [], "tenant": "", "attributes": {name: value for name, value in attributes.items() if value}}


@dataclass(frozen=True)
class Served:
    """The server, and the issuer that it trusts."""

    url: str
    issuer: str


@pytest.fixture(scope="module")
def served_with_nanoidp(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The server over the stack's database, with NanoIDP as its only issuer."""
    listener = listen("127.0.0.1", 0)
    host = f"127.0.0.1:{listener.getsockname()[1]}"
    url, issuer = f"http://{host}/mcp", free_address()
    identity_provider = {
        "config_validation": "strict",
        "security_profile": "oauth21",
        "cors_allowed_origins": ["http://127.0.0.1:6274"],
        "oauth": {
            "issuer": issuer,
            "audience": url,
            "token_expiry_minutes": 15,
            "scopes_supported": SCOPES,
            "dynamic_registration": {"enabled": True, "max_clients": 1000},
        },
        "login": {"mode": "persona", "auto_login": True},
        "session": {"secret_key": "s" * 32, "management_secret": "m" * 32},
    }
    accepted = {
        "issuer": issuer,
        "audiences": [url],
        "token_use": "access",
        "tenant_claims": ["attributes.tenant_id"],
        "tier_claim": "attributes.cognito:groups",
    }
    settings = Settings.model_validate(
        {
            "resource_url": url,
            "issuers": [accepted],
            "tenancy": {"tenant_lookup": False, "tiers": stack.settings.tenancy.tiers},
            "catalog": stack.settings.catalog,
            "database": stack.settings.database,
            "documents": stack.settings.documents,
        }
    )
    users = {person.name: user(person) for person in PEOPLE}
    with (
        nanoidp_running(tmp_path_factory.mktemp("nanoidp"), issuer, identity_provider, users),
        listening(create_app(settings), listener),
    ):
        yield Served(url, issuer)


@pytest.fixture
def signing_in(served_with_nanoidp: Served) -> Callable[[str], Desktop]:
    return lambda person: Desktop(served_with_nanoidp.url, AutoBrowser(person))


async def claim_numbers(client: Client) -> set[str]:
    answer = await client.call_tool("query_claims", {})
    return {claim["claim_number"] for claim in answer.structured_content["claims"]}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
@pytest.mark.parametrize("person", [one for one in PEOPLE if one.tenant and one.groups], ids=lambda one: one.name)
def test_a_person_is_led_from_the_401_to_their_own_rows_and_documents(
    served_with_nanoidp, signing_in, person, mode
) -> None:
    """R1, R31, R32: metadata, registration, PKCE and resource, with no token made by hand."""
    desktop = signing_in(person.name)

    async def session() -> None:
        async with desktop.connected(mode) as client:
            who = (await client.call_tool("whoami", {})).structured_content
            assert (who["tenant"], who["tier"], who["kind"]) == (person.tenant, person.groups[0], "person")
            assert await claim_numbers(client) == CLAIMS[person.tenant]
            found = await client.call_tool("search_policies", {"query": DEDUCTIBLE})
            expected = {"regular": "$1,000", "platinum": "$500"}[person.groups[0]]
            assert expected in found.structured_content["passages"][0]["text"]

    anyio.run(session)
    (visited,) = desktop.browser.visited
    asked = query(visited)
    assert visited.startswith(f"{served_with_nanoidp.issuer}/")
    assert asked["resource"] == served_with_nanoidp.url
    assert asked["code_challenge_method"] == "S256"
    assert asked["client_id"] == desktop.memory.clients[0].client_id


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_expired_token_of_nanoidp_is_renewed_for_the_same_person_and_resource(signing_in, mode) -> None:
    desktop = signing_in("sarah-platinum")

    async def session() -> None:
        async with desktop.connected(mode) as client:
            assert await claim_numbers(client) == CLAIMS["broker-b"]
            desktop.provider.context.token_expiry_time = 1.0
            assert await claim_numbers(client) == CLAIMS["broker-b"]

    anyio.run(session)
    assert len(desktop.browser.visited) == 1
    first, second = desktop.memory.tokens
    assert first.access_token != second.access_token
    assert first.refresh_token
    assert second.refresh_token not in {None, first.refresh_token}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_person_of_nanoidp_without_a_tier_sees_claims_and_no_document(signing_in, mode) -> None:
    async def session() -> None:
        async with signing_in("nora-no-tier").connected(mode) as client:
            assert await claim_numbers(client) == CLAIMS["broker-a"]
            refused = await client.call_tool("search_policies", {"query": DEDUCTIBLE})
            assert refused.is_error
            assert refused.structured_content is None
            assert "no tier" in refused.content[0].text

    anyio.run(session)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_person_of_nanoidp_without_a_tenant_signs_in_and_is_refused(signing_in, mode) -> None:
    desktop = signing_in("omar-unmapped")

    async def session() -> None:
        async with desktop.connected(mode) as client:
            with pytest.raises(MCPError, match="names no tenant"):
                await client.call_tool("query_claims", {})

    anyio.run(session)
    assert len(desktop.memory.tokens) == 1
