"""Verified tokens are remembered within a fixed amount of memory, and a remembered one says the same again."""

import asyncio
import tracemalloc
from collections.abc import Generator
from typing import Any

import pytest
from support.issuer import Issuer

from server.auth import remembered
from server.auth.access_token import AccessToken
from server.auth.verifier import TokenVerifier
from server.settings import Settings

RESOURCE = "https://mcp.example.com/mcp"
MEASURED = 300
ALLOWED_BYTES = 20_000_000
# What an issuer such as Keycloak writes into each access token, and nobody reads here.
USUAL: dict[str, Any] = {
    "typ": "Bearer", "azp": "desktop-client", "session_state": "x" * 36, "sid": "x" * 36, "acr": "1", "jti": "j" * 36,
    "scope": "openid email profile claims:read policies:read", "allowed-origins": ["https://app.example.com"],
    "realm_access": {"roles": ["offline_access", "uma_authorization", "default-roles-example"]},
    "resource_access": {"account": {"roles": ["manage-account", "manage-account-links", "view-profile"]}},
    "email_verified": True, "name": "Some Body", "preferred_username": "somebody", "email": "somebody@example.com",
}  # fmt: skip


@pytest.fixture(scope="module")
def issuer() -> Generator[Issuer]:
    with Issuer(aud=RESOURCE, tenant_id="broker-a", **USUAL).running() as running:
        yield running


def verifier_of(issuer: Issuer, **settings: Any) -> TokenVerifier:
    described = {"issuer": issuer.url, "audiences": [RESOURCE], "tier_claim": "groups", **settings}
    return TokenVerifier(
        Settings.model_validate({"resource_url": RESOURCE, "issuers": [described]}), ("claims:read", "policies:read")
    )


def held_bytes(issuer: Issuer, tokens: list[str]) -> int:
    """Return the memory that a verifier holds for these tokens."""

    async def measured() -> int:
        verifier = verifier_of(issuer)
        await verifier.verify(issuer.token(sub="first"))
        tracemalloc.start()
        try:
            for token in tokens:
                await verifier.verify(token)
            return tracemalloc.get_traced_memory()[0]
        finally:
            tracemalloc.stop()
            await verifier.close()

    return asyncio.run(measured())


@pytest.mark.parametrize("groups", [["regular"], [f"group-{number}-of-the-directory" for number in range(5)]])
def test_ten_thousand_remembered_tokens_take_at_most_20_mb(issuer, groups) -> None:
    tokens = [issuer.token(sub=f"person-{number}", groups=groups) for number in range(MEASURED)]
    assert held_bytes(issuer, tokens) / MEASURED * remembered.MAXIMUM_TOKENS < ALLOWED_BYTES


def test_tokens_with_long_lists_of_groups_are_fewer_and_take_no_more(issuer, monkeypatch) -> None:
    share = remembered.MAXIMUM_BYTES * MEASURED // remembered.MAXIMUM_TOKENS
    monkeypatch.setattr(remembered, "MAXIMUM_BYTES", share)
    groups = [f"{number:036}" for number in range(200)]
    tokens = [issuer.token(sub=f"person-{number}", groups=groups) for number in range(MEASURED)]
    assert held_bytes(issuer, tokens) < ALLOWED_BYTES * MEASURED // remembered.MAXIMUM_TOKENS


def test_the_oldest_tokens_are_forgotten_first(issuer, monkeypatch) -> None:
    monkeypatch.setattr(remembered, "MAXIMUM_TOKENS", 3)

    async def kept() -> list[bool]:
        verifier = verifier_of(issuer)
        tokens = [issuer.token(sub=f"person-{number}") for number in range(5)]
        for token in tokens:
            await verifier.verify(token)
        digests = list(verifier._remembered._kept)
        await verifier.verify(tokens[4])
        assert digests == list(verifier._remembered._kept)
        await verifier.verify(tokens[0])
        await verifier.close()
        return [digest in verifier._remembered._kept for digest in digests]

    assert asyncio.run(kept()) == [False, True, True]


@pytest.mark.parametrize(
    ("settings", "claims"),
    [
        ({"tenant_claims": ["a.b.c"]}, {"a": {"b": {"c": "x"}}, "a.b": {"c": "y"}, "a.b.c": "z"}),
        ({"tenant_claims": ["organization.*.id"]}, {"organization": {"acme": {"id": 1}}}),
        ({"tenant_claims": ["https://example.com/tenant"]}, {"https://example.com/tenant": "acme"}),
        ({"tier_claim": "realm_access.roles"}, {"realm_access": {"roles": ["regular"]}}),
        ({"tenant_claims": ["groups"]}, {"_claim_names": {"groups": "x"}, "hasgroups": True}),
    ],
)
def test_a_remembered_token_keeps_what_the_settings_read_and_nothing_else(issuer, settings, claims) -> None:
    async def twice() -> tuple[AccessToken, AccessToken]:
        verifier = verifier_of(issuer, **settings)
        token = issuer.token(**claims)
        verified = await verifier.verify(token), await verifier.verify(token)
        await verifier.close()
        return verified

    first, second = asyncio.run(twice())
    assert first == second
    assert claims.items() <= second.claims.items()
    assert not {"email", "scope", "resource_access", "jti", "name"} & second.claims.keys()
