"""Claim paths: a claim is read where the settings say, in one way only, and an object is never taken for a tenant.

Case 08 is among the rows: lists of one, integers, objects, and the maps of Keycloak's organizations.
"""

from typing import Any

import pytest
from pydantic import ValidationError
from support.tenancy import access_token, registry, resolver

from server.auth.access_token import ABSENT, claim_at
from server.documents.isolation import Isolation
from server.errors import RefusedError, TenancyError
from server.settings import IssuerSettings
from server.tenancy.claims import claimed_tenants

URL = "https://example.com/claims"
UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"

READ: list[tuple[str, dict[str, Any], set[str]]] = [
    ("tenant_id", {"tenant_id": "acme"}, {"acme"}),
    ("tenant_id", {"tenant_id": ["acme"]}, {"acme"}),
    ("tenant_id", {"tenant_id": ["acme", "beta", 7]}, {"acme", "beta", "7"}),
    ("tenant_id", {"tenant_id": ["acme", "acme"]}, {"acme"}),
    ("tenant_id", {"tenant_id": []}, set()),
    ("a.b.c", {"a": {"b": {"c": "acme"}}}, {"acme"}),
    ("a.b.c", {"a.b": {"c": "acme"}}, {"acme"}),
    ("a.b.c", {"a": {"b.c": ["acme"]}}, {"acme"}),
    ("a.b.c", {"a.b.c": "acme"}, {"acme"}),
    (f"{URL}.tenant", {URL: {"tenant": "acme"}}, {"acme"}),
    ("organization", {"organization": ["acme"]}, {"acme"}),
    ("organization.*", {"organization": {"acme": {"id": "0053"}}}, {"acme"}),
    ("organization.*", {"organization": {"acme": {}, "beta": {}}}, {"acme", "beta"}),
    ("organization.*", {"organization": {}}, set()),
    ("a.organization.*", {"a": {"organization": {"acme": None}}}, {"acme"}),
    ("organization.*.id", {"organization": {"acme": {"id": "0053"}, "beta": {"id": 54}}}, {"0053", "54"}),
    ("organization.*.id.value", {"organization": {"acme": {"id": {"value": "0053"}}}}, {"0053"}),
    ("o.id", {"o": {"id": "org_1", "rol": "admin"}}, {"org_1"}),
]


def named(value: object) -> str:
    """Return the name of a case, the same in every process: sets have no order."""
    return repr(sorted(value)) if isinstance(value, set | frozenset) else repr(value)


@pytest.mark.parametrize(("path", "claims", "expected"), READ, ids=named)
def test_a_path_leads_to_an_id_a_list_or_the_keys_of_a_map(path, claims, expected) -> None:
    assert claimed_tenants(claims, (path,), "text") == expected


@pytest.mark.parametrize("path", ["tenant_id", "a.b", "organization.*", "organization.*.id"])
@pytest.mark.parametrize("claims", [{}, {"a": "b"}, {"a": {}}, {"A": {"b": "acme"}}])
def test_a_path_that_leads_nowhere_claims_nothing(path, claims) -> None:
    assert claimed_tenants(claims, (path,), "text") is None


MALFORMED: list[tuple[str, Any, str]] = [
    ("organization", {"acme": {"id": "0053"}}, 'write "organization.*"'),
    ("organization", {}, 'write "organization.*"'),
    ("organization.*", ["acme"], 'write "organization" for a text or a list'),
    ("organization.*", "acme", 'write "organization" for a text or a list'),
    ("organization.*", None, 'write "organization" for a text or a list'),
    ("organization.*", {"acme": {}, "not one": {}}, "not a tenant id"),
    ("organization.*.id", {"acme": {"id": "1"}, "beta": {}}, 'no "id"'),
    ("organization.*.id", {"acme": "1"}, 'no "id"'),
    ("organization.*.id", {"acme": {"id": ["1"]}}, "not a tenant id"),
    ("organization.*.id", {"acme": {"id": {"value": "1"}}}, "not a tenant id"),
    ("organization", None, "not a tenant id"),
    ("organization", [["acme"]], "not a tenant id"),
    ("organization", ["acme", None], "not a tenant id"),
    ("organization", [{"id": "acme"}], "not a tenant id"),
    ("organization", True, "not a tenant id"),
]


@pytest.mark.parametrize(("path", "value", "reason"), MALFORMED, ids=repr)
def test_a_malformed_claim_is_named_in_the_log_with_what_to_write(stack, path, value, reason) -> None:
    """R69: and another claim that is well formed does not make up for it."""
    with resolver(stack, path, "tenant_id") as tenancy:
        for claims in ({"organization": value}, {"organization": value, "tenant_id": "broker-a"}):
            for required in (True, False):
                told, line = tenancy.refusal(access_token(**claims), required=required)
                assert told.startswith("Your access token names a malformed tenant")
                assert (line["event"], line["claim"]) == ("tenant refused", path)
                assert reason in line["reason"]


AMBIGUOUS: list[tuple[str, dict[str, Any]]] = [
    ("attributes.tenant", {"attributes.tenant": "broker-b", "attributes": {"tenant": "broker-a"}}),
    ("attributes.tenant", {"attributes.tenant": "broker-a", "attributes": {"tenant": "broker-a"}}),
    ("attributes.tenant", {"attributes.tenant": None, "attributes": {"tenant": "broker-a"}}),
    ("attributes.tenant", {"attributes.tenant": "broker-b", "attributes": {"tenant": None}}),
    ("a.b.c", {"a.b": {"c": "broker-b"}, "a": {"b": {"c": "broker-a"}}}),
    ("a.b.c", {"a": {"b.c": "broker-b", "b": {"c": "broker-a"}}}),
    ("attributes.tenant.*", {"attributes.tenant": {"broker-b": {}}, "attributes": {"tenant": {"broker-a": {}}}}),
]


@pytest.mark.parametrize(("path", "claims"), AMBIGUOUS, ids=repr)
def test_a_token_that_holds_a_claim_flat_and_nested_is_refused(stack, path, claims) -> None:
    """Where clients may add claims of any name, the flat one would be theirs."""
    with resolver(stack, path) as tenancy:
        told, line = tenancy.refusal(access_token(**claims))
        assert "has the same claim twice" in told
        assert "broker" not in told
        assert line["claim"] == path.removesuffix(".*")
        assert "flat and nested" in line["reason"]


def test_a_tier_claim_that_is_flat_and_nested_is_refused_too(stack, admin) -> None:
    with registry(admin, acme=True), resolver(stack, tiers=("regular",)) as tenancy:
        assert tenancy.context(access_token(groups=["regular"], tenant_id="acme")).tier == "regular"
    with pytest.raises(TenancyError, match="has the same claim twice"):
        claim_at({"a.groups": ["platinum"], "a": {"groups": ["regular"]}}, "a.groups")
    assert claim_at({"a.groups": ["platinum"], "a": {"other": 1}}, "a.groups") == ["platinum"]
    assert claim_at({"a": {"groups": None}}, "a.groups") is None
    assert claim_at({"a": {"other": 1}}, "a.groups") is ABSENT


@pytest.mark.parametrize("path", ["", ".*", "*", "*.id", "a.*.*", "a.*.b.*", "a.*b", "a.*.", "a..*.b.*"])
def test_a_path_that_cannot_be_read_is_refused_at_start(path) -> None:
    with pytest.raises(ValidationError, match="claim path"):
        IssuerSettings(issuer="https://id.test", audiences=("x",), tenant_claims=(path,))


def test_a_tier_is_never_read_from_the_keys_of_a_map() -> None:
    with pytest.raises(ValidationError, match="not to the keys of a map"):
        IssuerSettings(issuer="https://id.test", audiences=("x",), tier_claim="groups.*")


def test_two_claims_must_name_the_same_tenants(stack, admin) -> None:
    with registry(admin, acme=True, beta=True), resolver(stack, "one", "other") as tenancy:
        assert tenancy.tenant(access_token(one="acme", other=["acme"])) == "acme"
        assert "address of one" in tenancy.refusal(access_token(one=["acme", "beta"], other=["beta", "acme"]))[0]
        for other in ("beta", ["acme", "beta"], []):
            told, line = tenancy.refusal(access_token(one="acme", other=other))
            assert told.startswith("The claims of your access token name different tenants")
            assert line["claim"] == "one, other"


@pytest.mark.parametrize("path", ["user_metadata.tenant_id", "user_metadata", "unsafe_metadata.org.*"])
def test_a_path_into_what_people_write_about_themselves_is_refused_at_start(path) -> None:
    for setting in ({"tenant_claims": (path,)}, {"tier_claim": path.removesuffix(".*")}):
        with pytest.raises(ValidationError, match="can be changed by the person"):
            IssuerSettings.model_validate({"issuer": "https://id.test", "audiences": ("x",), **setting})


LEFT_OUT: list[tuple[str, dict[str, Any]]] = [
    ("groups", {"_claim_names": {"groups": "src1"}}),
    ("groups", {"hasgroups": True}),
    ("groups", {"hasgroups": "true"}),
    ("organization.*", {"_claim_names": {"organization": "src1"}}),
    ("attributes.tenant", {"_claim_names": {"attributes": "src1"}}),
    ("attributes.tenant", {"_claim_names": {"attributes.tenant": "src1"}}),
]


@pytest.mark.parametrize(("path", "claims"), LEFT_OUT, ids=repr)
def test_a_tenant_claim_that_the_issuer_left_out_is_not_the_same_as_none(stack, admin, path, claims) -> None:
    """Otherwise the registry alone would decide, though the token says that there is more to know."""
    with registry(admin, ("somebody", "acme"), acme=True), resolver(stack, path) as tenancy:
        assert tenancy.tenant(access_token()) == "acme"
        told, line = tenancy.refusal(access_token(**claims))
        assert told.startswith("Your identity provider left your groups out")
        assert line["claim"] == path


@pytest.mark.parametrize("claims", [{"_claim_names": {"photo": "x"}}, {"_claim_names": "groups"}, {"hasgroups": []}])
def test_another_claim_that_was_left_out_changes_nothing(stack, admin, claims) -> None:
    with registry(admin, ("somebody", "acme"), acme=True), resolver(stack, "groups") as tenancy:
        assert tenancy.tenant(access_token(**claims)) == "acme"


def test_a_tier_claim_that_the_issuer_left_out_is_named_when_documents_are_refused(stack, admin) -> None:
    with registry(admin, acme=True), resolver(stack) as tenancy:
        context = tenancy.context(access_token(tenant_id="acme", hasgroups=True))
        assert context.tier is None
        with pytest.raises(RefusedError, match="left your groups out"):
            Isolation.of(context, ("tier",))
        known = tenancy.context(access_token(tenant_id="acme", hasgroups=True, groups=["regular"]))
        assert (known.tier, known.why_no_tier) == ("regular", None)
