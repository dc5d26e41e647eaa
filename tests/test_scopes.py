"""Scopes that clients are told to ask for can be had, and those that the settings name belong to a tool."""

from typing import Any

import pytest
from pydantic import ValidationError

from server.auth.metadata import ResourceMetadata
from server.auth.scopes import check_scopes
from server.errors import SettingsError
from server.settings import IssuerSettings, Settings

SCOPES = ("orders:read", "stock:read")
PLAIN = {"issuer": "https://one.test", "audiences": ["x"]}
MAPPED = {
    "issuer": "https://two.test",
    "audiences": ["x"],
    "scope_map": {"orders:read": ["api://x/orders.read", "orders.read"], "stock:read": ["api://x/stock.read"]},
}
GRANTED = {"issuer": "https://three.test", "client_ids": ["x"], "scopes_granted": ["orders:read"]}


def metadata_of(*issuers: dict[str, Any], scopes: tuple[str, ...] = SCOPES) -> ResourceMetadata:
    return ResourceMetadata(settings_of(*issuers), scopes)


def settings_of(*issuers: dict[str, Any]) -> Settings:
    return Settings.model_validate({"resource_url": "https://mcp.test/mcp", "issuers": issuers, "database": {}})


@pytest.mark.parametrize(
    ("issuers", "published"),
    [
        ([PLAIN], ["orders:read", "stock:read"]),
        ([MAPPED], ["api://x/orders.read", "api://x/stock.read"]),
        ([PLAIN, {**PLAIN, "issuer": "https://four.test"}], ["orders:read", "stock:read"]),
        # A name that only one of two issuers knows would be refused by the other.
        ([PLAIN, MAPPED], None),
        # What every token has anyway need not be asked for, and may be unknown to the issuer.
        ([GRANTED], ["stock:read"]),
        ([{**GRANTED, "scopes_granted": SCOPES}], None),
        ([PLAIN, GRANTED], None),
    ],
)
def test_only_scopes_that_every_issuer_grants_under_that_name_are_published(issuers, published) -> None:
    """R33, case 10."""
    metadata = metadata_of(*issuers)
    assert metadata.document.get("scopes_supported") == published
    challenge = metadata.challenge(None, metadata.scopes)
    assert challenge == "Bearer " + (f'scope="{" ".join(published)}", ' if published else "") + (
        'resource_metadata="https://mcp.test/.well-known/oauth-protected-resource/mcp"'
    )


def test_a_server_without_tools_asks_for_no_scope() -> None:
    assert "scopes_supported" not in metadata_of(PLAIN, scopes=()).document


def test_a_missing_scope_is_named_whatever_the_issuers_share() -> None:
    metadata = metadata_of(PLAIN, MAPPED)
    challenge = metadata.challenge("insufficient_scope", ("api://x/stock.read",), "acme")
    assert challenge.startswith('Bearer error="insufficient_scope", scope="api://x/stock.read", resource_metadata=')


@pytest.mark.parametrize(
    ("issuer", "scopes", "key", "scope"),
    [
        (MAPPED, ("orders:read",), "scope_map", "stock:read"),
        (MAPPED, (), "scope_map", "orders:read"),
        (GRANTED, ("stock:read",), "scopes_granted", "orders:read"),
        ({**MAPPED, "scope_map": {"order:read": ["x"]}}, SCOPES, "scope_map", "order:read"),
    ],
)
def test_a_scope_that_no_tool_has_is_one_line_with_the_known_ones(issuer, scopes, key, scope) -> None:
    with pytest.raises(SettingsError) as caught:
        check_scopes(settings_of(PLAIN, issuer), scopes)
    told = str(caught.value)
    assert f"{key} of {issuer['issuer']} names the scope {scope}, which no tool requires" in told
    assert f"(the scopes of the tools: {', '.join(scopes) or 'none'})" in told
    assert "\n" not in told


def test_scopes_that_tools_have_are_accepted() -> None:
    check_scopes(settings_of(PLAIN, MAPPED, GRANTED), SCOPES)


@pytest.mark.parametrize("names", [[], ["a b"], ['a"'], ["a\n"], [""]])
def test_an_issuers_name_for_a_scope_is_a_scope(names) -> None:
    """It stands in a header, between quotation marks."""
    with pytest.raises(ValidationError):
        IssuerSettings.model_validate({**PLAIN, "scope_map": {"orders:read": names}})
