"""From a verified token to exactly one known, active tenant and at most one tier, over HTTP."""

import time
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from support.gate import Served
from support.issuer import signed

from server.tenancy.registry import ENTRY_LIFETIME_S, REFUSED_LIFETIME_S

URL = "https://example.com/claims"
GROUPS = "https://example.com/groups"


def strict(served: Served, **claims: Any) -> str:
    return served.strict.token(**{"tenant_id": None, **claims})


def cognito(served: Served, subject: str, **claims: Any) -> str:
    return served.cognito.token(header={"typ": None}, sub=subject, **claims)


@pytest.mark.parametrize(
    "claims",
    [
        {"tenant_id": "broker-b"},
        {f"{URL}.tenant": "broker-b"},
        {URL: {"tenant": "broker-b"}},
        {"organization": {"tenant": {"id": "broker-b"}}},
        {"organization.tenant": {"id": "broker-b"}},
        {"tenant_id": "broker-b", URL: {"tenant": "broker-b"}},
        {"tenant_id": "broker-b", "organization": "unrelated"},
    ],
)
def test_a_claim_is_found_by_name_or_along_its_path(served: Served, claims) -> None:
    assert served.whoami(strict(served, **claims))["tenant"] == "broker-b"


@pytest.mark.parametrize(
    "tenant",
    [
        *("", " ", "broker-a ", " broker-a", "broker-a\n", "-broker", "_broker", "a" * 129, "broker-\uff41"),
        *("br\u00f6ker", "broker-a\0", "broker-a\u200b", "broker-a,broker-b", "*", "%", "broker-a' OR '1'='1"),
        *(True, False, 1.5, -7, {"id": "broker-a"}, {"broker-a": {}}, {}, [""], ["broker-a", None], [["broker-a"]]),
    ],
    ids=repr,
)
def test_a_malformed_tenant_claim_is_refused(served: Served, tenant) -> None:
    """R69."""
    response = served.post(strict(served, tenant_id=tenant))
    assert response.status_code == 403
    assert response.json()["error"]["message"].startswith("Your access token names a malformed tenant")


@pytest.mark.parametrize("tenant", ["Broker-A", "BROKER-A", "broker_a", "a" * 128, "org_9ybsU1dN2dKfDkBi", 7, ["b"]])
def test_a_well_formed_tenant_that_is_not_registered_is_unknown(served: Served, tenant) -> None:
    """R70: letter case and all; an id is never changed to fit one that is there."""
    response = served.post(strict(served, tenant_id=tenant), "query_claims")
    assert response.status_code == 403
    assert "not active on this server" in response.json()["error"]["message"]


@pytest.mark.parametrize("claim", ["broker-a", ["broker-a"], ["broker-a", "broker-a"]])
def test_a_list_of_exactly_one_is_that_tenant(served: Served, claim) -> None:
    assert served.whoami(strict(served, tenant_id=claim))["tenant"] == "broker-a"


def test_a_tenant_claim_that_is_null_is_malformed_not_missing(served: Served) -> None:
    """R69: and a path that is well formed does not make up for it."""
    claims = {**served.strict.valid_claims(), "tenant_id": None, URL: {"tenant": "broker-a"}}
    token = signed({"alg": "RS256", "kid": "first", "typ": "at+jwt"}, claims, served.strict.private, "RS256")
    assert "malformed tenant" in served.post(token).json()["error"]["message"]


BOTH = "connect to the address of one of them: https://mcp.example.com/mcp/t/broker-a, https://mcp.example.com/mcp/t/"
REFUSED: dict[str, Callable[[Served], tuple[str, str]]] = {
    "R69 no claim, no mapping": lambda s: (strict(s), "belongs to no tenant"),
    "R69 a claim that names none": lambda s: (strict(s, tenant_id=[]), "belongs to no tenant"),
    "R70 an unknown tenant": lambda s: (strict(s, tenant_id="broker-z"), "not active on this server"),
    "R70 a tenant that is not active": lambda s: (strict(s, tenant_id="broker-closed"), "not active on this server"),
    "two claims that disagree": lambda s: (
        strict(s, tenant_id="broker-a", **{URL: {"tenant": "broker-b"}}),
        "name different tenants",
    ),
    "one claim, flat and nested": lambda s: (
        strict(s, **{f"{URL}.tenant": "broker-b", URL: {"tenant": "broker-a"}}),
        "has the same claim twice",
    ),
    "one tier, flat and nested": lambda s: (
        strict(s, tenant_id="broker-a", **{"https://example": {"com/groups": "regular"}, GROUPS: ["platinum"]}),
        "has the same claim twice",
    ),
    "a list of several": lambda s: (strict(s, tenant_id=["broker-b", "broker-a"]), BOTH),
    "two mappings": lambda s: (cognito(s, "mapped-to-both"), BOTH),
    "a claim and a mapping that disagree": lambda s: (
        cognito(s, "mapped-to-a", tenant_id="broker-b"),
        "give you different tenants",
    ),
    "R70 a mapping to a tenant that is not active": lambda s: (cognito(s, "mapped-to-closed"), "not active"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_refuses_a_caller_without_exactly_one_active_tenant(served: Served, case: str) -> None:
    token, reason = REFUSED[case](served)
    response = served.post(token, "query_claims")
    assert response.status_code == 403
    assert response.json()["error"]["code"] == -32003
    assert reason in response.json()["error"]["message"]
    assert ("broker" in response.text) == (reason == BOTH), "nobody is told of a tenant but their own"
    assert "www-authenticate" not in response.headers


def test_of_two_mappings_the_one_that_the_token_claims_is_the_tenant(served: Served) -> None:
    for tenant in ("broker-a", "broker-b"):
        assert served.whoami(cognito(served, "mapped-to-both", tenant_id=tenant))["tenant"] == tenant


def test_a_claim_and_a_mapping_that_agree_lead_to_the_tenant(served: Served) -> None:
    assert served.whoami(cognito(served, "mapped-to-a", tenant_id="broker-a"))["tenant"] == "broker-a"


def test_the_same_subject_of_two_issuers_is_two_people(served: Served) -> None:
    """R72, R54."""
    of_plain = served.plain.token(header={"kid": "of-plain", "typ": None}, sub="mapped-to-a")
    for _ in range(2):
        assert served.whoami(cognito(served, "mapped-to-a"))["tenant"] == "broker-a"
        assert served.whoami(of_plain)["tenant"] == "broker-b"


@pytest.mark.parametrize(
    "name", ["x-tenant-id", "x-forwarded-user", "x-forwarded-host", "baggage", "tenant", "forwarded"]
)
def test_a_tenant_in_a_header_has_no_effect(served: Served, name: str) -> None:
    """R29, R71."""
    headers = {name: "tenant_id=broker-b"}
    numbers = served.post(strict(served, tenant_id="broker-a"), "query_claims", headers=headers).text
    assert "CLM-A-001" in numbers
    assert "CLM-B" not in numbers


@pytest.mark.parametrize("place", ["_meta", "params", "body"])
def test_a_tenant_beside_the_arguments_has_no_effect(served: Served, place: str) -> None:
    """R71."""
    named = {"tenant_id": "broker-b", "tenant": "broker-b"}
    params: dict[str, object] = {"name": "query_claims", "arguments": {}}
    if place == "_meta":
        params["_meta"] = named
    elif place == "params":
        params |= named
    response = served.post(strict(served, tenant_id="broker-a"), params=params)
    assert "CLM-B" not in response.text
    assert "CLM-A-001" in response.text


@pytest.mark.parametrize(
    ("groups", "tier"),
    [
        (["regular"], "regular"),
        (["platinum", "regular"], "platinum"),
        (["regular", "platinum"], "platinum"),
        ("platinum", "platinum"),
        (["gold"], None),
        (["PLATINUM"], None),
        ([], None),
        ({"platinum": True}, None),
        ([["platinum"]], None),
        ("regular,platinum", None),
        (7, None),
    ],
)
def test_the_tier_is_the_last_known_one_by_the_order_of_the_settings(served: Served, groups, tier) -> None:
    token = strict(served, tenant_id="broker-a", **{GROUPS: groups})
    assert served.whoami(token)["tier"] == tier


def test_a_person_who_is_being_mapped_gets_in_soon_and_a_withdrawn_mapping_ends(
    served: Served, admin: psycopg.Connection, monkeypatch
) -> None:
    """R62: a refusal is kept for two seconds, an admission for thirty."""
    assert (REFUSED_LIFETIME_S, ENTRY_LIFETIME_S) == (2.0, 30.0)
    token = cognito(served, "new-here")
    assert served.post(token, "query_claims").status_code == 403
    person = (served.cognito.url, "new-here", "broker-a")
    admin.execute("INSERT INTO tenancy.user_tenants (issuer, user_sub, tenant_id) VALUES (%s, %s, %s)", person)
    time.sleep(REFUSED_LIFETIME_S + 0.1)
    monkeypatch.setattr("server.tenancy.registry.ENTRY_LIFETIME_S", 0.5)
    assert served.post(token, "query_claims").status_code == 200
    admin.execute("DELETE FROM tenancy.user_tenants WHERE user_sub = 'new-here'")
    time.sleep(0.6)
    assert served.post(token, "query_claims").status_code == 403


def test_a_tenant_that_is_switched_off_is_refused(served: Served, admin: psycopg.Connection, monkeypatch) -> None:
    """R62."""
    monkeypatch.setattr("server.tenancy.registry.ENTRY_LIFETIME_S", 0.3)
    admin.execute("INSERT INTO tenancy.tenants VALUES ('broker-brief', 'Brief') ON CONFLICT DO NOTHING")
    try:
        token = strict(served, tenant_id="broker-brief", sub="brief")
        assert served.post(token).status_code == 200
        admin.execute("UPDATE tenancy.tenants SET active = false WHERE tenant_id = 'broker-brief'")
        time.sleep(0.4)
        assert served.post(token).status_code == 403
    finally:
        admin.execute("DELETE FROM tenancy.tenants WHERE tenant_id = 'broker-brief'")
