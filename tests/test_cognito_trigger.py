"""Cognito's pre token generation trigger: what it puts into access tokens, and that these lead to a tenant."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

HANDLER = Path(__file__).parents[1] / "deploy" / "cognito-pre-token-generation" / "handler.py"
MACHINE = "2example23456789"
GROUPS = {"groupsToOverride": ["regular"], "iamRolesToOverride": [], "preferredRole": None}


def event(source: str, version: str, client: str = "1example23456789", **request: Any) -> dict[str, Any]:
    """Return an event as Amazon Cognito sends it."""
    return {
        "version": version,
        "triggerSource": source,
        "region": "eu-west-1",
        "userPoolId": "eu-west-1_Example",
        "userName": "john",
        "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": client},
        "request": request,
        "response": {"claimsAndScopeOverrideDetails": None},
    }


def answer(given: dict[str, Any]) -> dict[str, Any]:
    """Return the override details, as Cognito reads them: through JSON."""
    returned = runpy.run_path(str(HANDLER))["handler"](json.loads(json.dumps(given)), None)
    assert {name: returned[name] for name in given if name != "response"} == {
        name: given[name] for name in given if name != "response"
    }
    return json.loads(json.dumps(returned))["response"]["claimsAndScopeOverrideDetails"]


def added(given: dict[str, Any]) -> dict[str, Any]:
    return answer(given)["accessTokenGeneration"]["claimsToAddOrOverride"]


@pytest.mark.parametrize("version", ["2", "3"])
@pytest.mark.parametrize(
    "source",
    ["TokenGeneration_HostedAuth", "TokenGeneration_Authentication", "TokenGeneration_RefreshTokens"],
)
def test_a_persons_attribute_and_groups_become_tenant_and_tiers(source, version) -> None:
    attributes = {"sub": "a", "custom:tenant_id": "broker-a", "email": "john@example.com"}
    given = event(source, version, userAttributes=attributes, groupConfiguration=GROUPS, scopes=["openid"])
    assert added(given) == {"tenant_id": "broker-a", "tiers": ["regular"]}
    # Without it Cognito would drop `cognito:groups`.
    assert answer(given)["groupOverrideDetails"] == GROUPS


def test_a_person_without_a_tenant_gets_no_claim_and_no_default() -> None:
    given = event("TokenGeneration_HostedAuth", "2", userAttributes={"sub": "a"}, groupConfiguration={})
    assert added(given) == {"tiers": []}


def test_a_known_client_gets_the_tenant_it_was_given(monkeypatch) -> None:
    known = {MACHINE: {"tenant_id": "broker-a", "tiers": ["regular"], "scope": "claims:write"}}
    monkeypatch.setenv("CLIENTS", json.dumps(known))
    given = event("TokenGeneration_ClientCredentials", "3", MACHINE, scopes=["tenantgate/claims.read"])
    assert added(given) == {"tenant_id": "broker-a", "tiers": ["regular"]}


@pytest.mark.parametrize("clients", [None, "{}"])
def test_an_unknown_client_gets_nothing_whatever_it_says_of_itself(monkeypatch, clients) -> None:
    monkeypatch.delenv("CLIENTS", raising=False)
    if clients is not None:
        monkeypatch.setenv("CLIENTS", clients)
    claimed = {"custom:tenant_id": "broker-b", "tenant_id": "broker-b"}
    given = event(
        "TokenGeneration_ClientCredentials", "3", MACHINE, clientMetadata=claimed, userAttributes=claimed, scopes=[]
    )
    assert added(given) == {}


@pytest.mark.parametrize("person", ["john-regular", "emma-broker-b"])
def test_the_claims_lead_to_the_tenant(caller, person) -> None:
    tenant, tier = ("broker-a", "regular") if person == "john-regular" else ("broker-b", "platinum")
    claims = added(
        event(
            "TokenGeneration_HostedAuth",
            "2",
            userAttributes={"custom:tenant_id": tenant},
            groupConfiguration={"groupsToOverride": [tier]},
        )
    )
    identity = caller(person, **{"custom:tenant_id": None}, **claims).answer("whoami")
    assert (identity["tenant"], identity["tier"]) == (tenant, tier)
