"""Each tenant's address is a resource of its own: its document, its challenges, and the tokens that are good for it."""

import asyncio
from collections.abc import Generator
from typing import Any

import pytest
from support.issuer import Issuer

from server.auth.metadata import ResourceMetadata
from server.auth.verifier import TokenVerifier
from server.errors import TokenRefusedError
from server.settings import Settings

RESOURCE = "https://mcp.test/mcp"
METADATA = "https://mcp.test/.well-known/oauth-protected-resource/mcp"
SCOPES = ("claims:read", "policies:read")
UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.fixture(scope="module")
def issuer() -> Generator[Issuer]:
    with Issuer(scope="claims:read").running() as running:
        yield running


def settings_of(*issuers: dict[str, Any], resource: str = RESOURCE, **tenancy: Any) -> Settings:
    found = issuers or ({"issuer": "https://id.test", "audiences": ["x"]},)
    return Settings.model_validate({"resource_url": resource, "issuers": found, "tenancy": tenancy, "database": {}})


@pytest.mark.parametrize("asked", ["acme", "org_9ybsU1dN2dKfDkBi", "a.b:c@d-e", "0"])
def test_a_tenants_document_and_challenge_name_its_own_address(asked) -> None:
    """RFC 9728 section 3.1: the well-known part goes between the host and the path, that of the tenant included."""
    metadata = ResourceMetadata(settings_of(), SCOPES)
    document = metadata.document_of(asked)
    assert document == {**metadata.document_of(None), "resource": f"{RESOURCE}/t/{asked}"}
    assert metadata.url_of(asked) == f"{METADATA}/t/{asked}"
    assert metadata.challenge("invalid_token", SCOPES, asked) == (
        f'Bearer error="invalid_token", scope="claims:read policies:read", resource_metadata="{METADATA}/t/{asked}"'
    )


@pytest.mark.parametrize(
    ("resource", "address", "url"),
    [
        ("https://mcp.test", "https://mcp.test/t/a", "https://mcp.test/.well-known/oauth-protected-resource/t/a"),
        ("https://mcp.test/", "https://mcp.test/t/a", "https://mcp.test/.well-known/oauth-protected-resource/t/a"),
        (
            "https://mcp.test:8443/x/mcp",
            "https://mcp.test:8443/x/mcp/t/a",
            "https://mcp.test:8443/.well-known/oauth-protected-resource/x/mcp/t/a",
        ),
    ],
)
def test_the_address_of_a_tenant_lies_below_any_resource(resource, address, url) -> None:
    metadata = ResourceMetadata(settings_of(resource=resource), SCOPES)
    assert (metadata.document_of("a")["resource"], metadata.url_of("a")) == (address, url)
    assert metadata.document_of(None)["resource"] == resource


@pytest.mark.parametrize("asked", [None, "", "..", "a b", 'a", error="x', "a\r\nx-evil: 1", "a" * 129, "\u00e9"])
def test_a_malformed_tenant_in_the_address_gets_the_servers_own_address_and_is_not_repeated(asked) -> None:
    metadata = ResourceMetadata(settings_of(), SCOPES)
    assert metadata.document_of(asked) == metadata.document
    assert metadata.challenge(None, (), asked) == f'Bearer resource_metadata="{METADATA}"'


def test_the_document_is_spelled_as_the_client_was_configured() -> None:
    """RFC 9728 section 3.3: a client refuses a document whose resource is not, character for character, its own."""
    metadata = ResourceMetadata(settings_of(id_type="uuid"), SCOPES)
    assert metadata.document_of(UUID.upper())["resource"] == f"{RESOURCE}/t/{UUID.upper()}"
    assert metadata.document_of("acme")["resource"] == RESOURCE


def verify(issuer: Issuer, *steps: tuple[str, str | None], audiences: tuple[str, ...] = ("api",), **tenancy: Any):
    """Send tokens (text, address) one after the other to one verifier; return which were accepted."""
    settings = settings_of(
        {"issuer": issuer.url, "audiences": audiences, "client_ids": ["desktop"]}, resource=RESOURCE, **tenancy
    )

    async def all_of_them() -> list[bool]:
        verifier = TokenVerifier(settings, SCOPES)
        accepted: list[bool] = []
        for text, asked in steps:
            try:
                await verifier.verify(text, asked)
                accepted.append(True)
            except TokenRefusedError:
                accepted.append(False)
        assert len(verifier._remembered) <= len({text for text, _ in steps})
        await verifier.close()
        return accepted

    return asyncio.run(all_of_them())


AT_A = f"{RESOURCE}/t/a"
AT_B = f"{RESOURCE}/t/b"
# The audience to: accepted at the server's own address, at that of a, at that of b, at a malformed one.
AUDIENCES: list[tuple[Any, tuple[bool, bool, bool, bool]]] = [
    (RESOURCE, (True, True, True, True)),
    ("api", (True, True, True, True)),
    (AT_A, (False, True, False, False)),
    ([AT_A, AT_B], (False, True, True, False)),
    (["https://elsewhere.test", AT_A], (False, True, False, False)),
    ([RESOURCE, AT_A], (True, True, True, True)),
    (f"{RESOURCE}/t/A", (False, False, False, False)),
    (f"{AT_A}/", (False, False, False, False)),
    (f"{RESOURCE}/t/", (False, False, False, False)),
    (f"{RESOURCE}/t/..", (False, False, False, False)),
    (f"{RESOURCE}t/a", (False, False, False, False)),
    ("https://elsewhere.test/mcp/t/a", (False, False, False, False)),
    (None, (False, False, False, False)),
]


@pytest.mark.parametrize(("audience", "expected"), AUDIENCES, ids=repr)
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 2, 1, 0)])
def test_a_token_for_one_tenants_address_is_not_good_for_anothers(issuer, audience, expected, order) -> None:
    """R48: whatever the verifier remembers of it, the address is judged anew for each request."""
    addresses = (None, "a", "b", "no tenant")
    token = issuer.token(aud=audience)
    assert verify(issuer, *((token, addresses[one]) for one in order)) == [expected[one] for one in order]


def test_a_token_without_an_audience_that_its_client_stands_in_for_is_good_at_every_address(issuer) -> None:
    token = issuer.token(client_id="desktop")
    assert verify(issuer, (token, None), (token, "a"), (token, "b")) == [True, True, True]
    stranger = issuer.token(client_id="desktop", aud=AT_A)
    assert verify(issuer, (stranger, None), (stranger, "b"), (stranger, "a")) == [False, False, True]


def test_a_tenants_address_among_the_audiences_of_the_settings_is_good_for_that_tenant_alone(issuer) -> None:
    token = issuer.token(aud=AT_A)
    assert verify(issuer, (token, "a"), (token, "b"), (token, None), audiences=(AT_A,)) == [True, False, False]


def test_the_spelling_of_an_address_makes_no_difference(issuer) -> None:
    token = issuer.token(aud=f"{RESOURCE}/t/{UUID.upper()}")
    steps = ((token, UUID), (token, UUID.upper()), (token, UUID.replace("-", "")), (token, UUID.replace("e", "f")))
    assert verify(issuer, *steps, id_type="uuid") == [True, True, True, False]


def test_a_refusal_at_another_address_does_not_forget_a_token(issuer) -> None:
    token = issuer.token(aud=AT_A)
    fetches = len(issuer.fetched)
    assert verify(issuer, (token, "a"), (token, "b"), (token, "a"), (token, "b")) == [True, False, True, False]
    assert len(issuer.fetched) - fetches == 2, "the discovery document and the keys, once"
