"""Tokens that must be accepted, each at the edge of what is not, and what their scopes allow."""

import time
from typing import Any

import pytest
from support.gate import METADATA, Make, Served
from support.issuer import private_key

from server.auth.times import LEEWAY_S


def cognito(served: Served, **claims: Any) -> str:
    return served.cognito.token(header={"typ": None}, **claims)


def plain(served: Served, **claims: Any) -> str:
    return served.plain.token(header={"kid": "of-plain", "typ": None}, **claims)


ACCEPTED: dict[str, Make] = {
    "R44 typ with its prefix and capitals": lambda s: s.strict.token(header={"typ": "application/AT+JWT"}),
    "R39 a second algorithm": lambda s: s.strict.token(
        header={"alg": "ES256", "kid": "curve"}, private=private_key("EC", "curve")
    ),
    "R48 a configured audience": lambda s: s.strict.token(aud="api://tenantgate"),
    "R49 this server among the audiences": lambda s: s.strict.token(
        aud=["https://elsewhere.example", "https://mcp.example.com/mcp"]
    ),
    "R51 the longest lifetime": lambda s: s.strict.token(iat=int(time.time()), exp=int(time.time()) + 3600),
    "R53 iat within the leeway": lambda s: s.strict.token(iat=int(time.time()) + LEEWAY_S - 5),
    "R53 nbf within the leeway": lambda s: s.strict.token(nbf=int(time.time()) + LEEWAY_S - 5),
    "R53 exp in five seconds": lambda s: s.strict.token(exp=int(time.time()) + 5),
    "R50 exp with a fraction": lambda s: s.strict.token(exp=time.time() + 60.5),
    "iat absent": lambda s: s.strict.token(iat=None),
    "R48 a Cognito token without aud": lambda s: cognito(s, sub="mapped-to-a"),
    "R48 a Cognito token bound to this server": lambda s: cognito(
        s, sub="mapped-to-a", aud="https://mcp.example.com/mcp", client_id="another-client"
    ),
    "scopes in a list, as Okta sends them": lambda s: plain(s, scope=None, scp=["claims:read"], cid="desktop-client"),
    "scopes in one text, as Entra ID sends them": lambda s: plain(s, scope=None, scp="claims:read other"),
}


@pytest.mark.parametrize("case", list(ACCEPTED))
def test_a_good_token_is_accepted(served: Served, case: str) -> None:
    token = ACCEPTED[case](served)
    assert served.whoami(token)["kind"] == "person"
    assert not served.post(token, "query_claims").json()["result"].get("isError")


def test_a_token_is_refused_in_the_second_in_which_it_expires(served: Served) -> None:
    """R53: also when it was accepted, and remembered, a moment before."""
    token = served.strict.token(exp=int(time.time()) + 2)
    assert served.post(token).status_code == 200
    time.sleep(2.1)
    assert served.post(token).status_code == 401


def test_a_token_is_passed_on_to_no_other_service(served: Served) -> None:
    """R64: neither to the issuer whose keys are fetched, nor to the database."""
    token = served.strict.token(sub="goes nowhere")
    assert served.post(token, "query_claims").status_code == 200
    _, claims, signature = token.split(".")
    for part in (claims, signature, "Bearer "):
        assert part.encode() not in served.database.carried
        assert part not in served.strict.headers_received


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
def test_the_schemes_name_is_read_in_any_letter_case(served: Served, scheme: str) -> None:
    """R6."""
    headers = {"authorization": f"{scheme} {served.strict.token()}"}
    assert served.post(None, headers=headers).status_code == 200


CLIENTS: dict[str, Make] = {
    "RFC 9068 and Cognito": lambda s: cognito(s, sub="nightly-report", client_id="nightly-report"),
    "Okta": lambda s: plain(s, sub="nightly", azp=None, cid="nightly", tenant_id="broker-b"),
    "Auth0": lambda s: plain(s, sub="nightly@clients", azp="nightly", gty="client-credentials", tenant_id="broker-b"),
    "Entra ID": lambda s: plain(
        s, sub="0f", oid="0f", azp="nightly", scope=None, roles=["claims:read"], tenant_id="broker-b"
    ),
    "Keycloak": lambda s: plain(
        s,
        sub="0f",
        client_id="Nightly",
        azp="Nightly",
        preferred_username="service-account-nightly",
        clientHost="10.0.0.1",
        tenant_id="broker-b",
    ),
    "Entra ID with idtyp": lambda s: plain(
        s, sub="0f", azp="nightly", idtyp="app", scope=None, roles=["claims:read"], tenant_id="broker-b"
    ),
}


@pytest.mark.parametrize("case", list(CLIENTS))
def test_a_client_that_acts_for_itself_is_not_a_person(served: Served, case: str) -> None:
    token = CLIENTS[case](served)
    identity = served.whoami(token)
    assert (identity["kind"], identity["tenant"], identity["tier"]) == ("client", "broker-b", None)
    assert identity["scopes"] == ["claims:read"]


@pytest.mark.parametrize(
    "claims",
    [
        {"preferred_username": "service-account-nightly"},
        {"preferred_username": "somebody", "clientHost": "10.0.0.1"},
        {"preferred_username": "service-account-none", "clientHost": "10.0.0.1", "azp": None},
    ],
)
def test_a_person_is_not_a_client_by_the_name_that_they_chose(served: Served, claims) -> None:
    token = plain(served, **{"sub": "0f", "azp": "nightly", "tenant_id": "broker-b", **claims})
    assert served.whoami(token)["kind"] == "person"


def test_the_roles_of_a_person_are_not_scopes(served: Served) -> None:
    token = plain(served, scope="openid", roles=["claims:read"])
    assert served.whoami(token)["scopes"] == []


def test_a_missing_scope_is_reported_with_every_scope_that_the_call_needs(served: Served) -> None:
    """R65, R67: the tool's name in the body decides, not a header's."""
    token = cognito(served, sub="mapped-to-a", scope="openid")
    for headers in ({}, {"mcp-name": "whoami"}):
        response = served.post(token, "query_claims", headers=headers)
        assert response.status_code == 403
        assert response.headers["www-authenticate"] == (
            f'Bearer error="insufficient_scope", scope="tenantgate/claims.read", resource_metadata="{METADATA}"'
        )
        assert response.json()["error"]["code"] == -32003
        assert "tenantgate/claims.read" in response.json()["error"]["message"]
    assert served.post(token, "whoami").status_code == 200


@pytest.mark.parametrize(
    ("held", "asked"),
    [
        ("openid tenantgate/policies.read", "tenantgate/policies.read tenantgate/claims.read"),
        (
            "tenantgate/policies.read profile tenantgate/policies.read",
            "tenantgate/policies.read tenantgate/claims.read",
        ),
        ("policies:read", "tenantgate/claims.read"),
        ("", "tenantgate/claims.read"),
    ],
)
def test_the_scopes_that_a_token_holds_are_asked_for_again_with_the_missing_one(served: Served, held, asked) -> None:
    """Otherwise a client that asks for the missing one alone loses the others."""
    response = served.post(cognito(served, sub="mapped-to-a", scope=held), "query_claims")
    assert response.status_code == 403
    assert f'error="insufficient_scope", scope="{asked}", ' in response.headers["www-authenticate"]
    message = response.json()["error"]["message"]
    assert all(name in message for name in asked.split())


def test_a_missing_scope_is_reported_in_the_modern_era_too(served: Served) -> None:
    """R65, R67: a header that names another tool than the body is refused before anything else."""
    token = cognito(served, sub="mapped-to-a", scope="openid")
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
    body = {"params": {"name": "query_claims", "arguments": {}, "_meta": meta}}
    response = served.modern(token, body, {"mcp-name": "query_claims"})
    assert response.status_code == 403
    assert 'error="insufficient_scope"' in response.headers["www-authenticate"]
    assert served.modern(token, body, {"mcp-name": "whoami"}).status_code == 400


@pytest.mark.parametrize(
    ("scope", "accepted"),
    [("claims:admin", True), ("claims:read", True), ("claims:readx", False), ("CLAIMS:READ", False), ("claims", False)],
)
def test_a_broader_scope_that_the_settings_name_implies_the_narrower(served: Served, scope: str, accepted) -> None:
    """R66."""
    response = served.post(served.strict.token(scope=scope), "query_claims")
    assert response.status_code == (200 if accepted else 403)


def test_a_scope_alone_is_not_enough(served: Served) -> None:
    """R68: the token may read policies, and the person is in no tier."""
    result = served.post(served.strict.token(), "search_policies", query="deductible").json()["result"]
    assert result["isError"]
    assert "no tier" in result["content"][0]["text"]
