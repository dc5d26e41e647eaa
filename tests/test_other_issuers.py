"""Tokens of other issuers, accepted with exactly the settings that docs/identity.md shows, their ID tokens refused.

Amazon Cognito as moto stands in for it, through genuine boto3; NanoIDP as a process of its own; and, for issuers that
run nowhere but in the cloud, tokens of their published shape, signed with a key of this process.
"""

import re
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import httpx2
import psycopg
import pytest
from conftest import ACCEPT
from support.dpop import KEY, proof, thumbprint
from support.listening import serving
from support.nanoidp import free_address, nanoidp_running

from server.dev.stack import Stack
from server.settings import Settings

DOCUMENT = (Path(__file__).parents[1] / "docs" / "identity.md").read_text(encoding="utf-8")
BLOCKS = {
    title: tomllib.loads(block)
    for title, block in re.findall(
        r"^## ([^\n]+)\n(?:(?!^## ).)*?```toml\n(.*?)```", DOCUMENT, re.DOTALL | re.MULTILINE
    )
}
RESOURCE = "https://mcp.example.com/mcp"
COGNITO_API = "Amazon Cognito: sign-in through the API"
COGNITO_LOGIN = "Amazon Cognito: managed login"
COGNITO_MACHINE = "Amazon Cognito: machine to machine"
NANOIDP = "Any OpenID Connect provider"
DPOP = "Tokens that are bound to a key (DPoP)"
PASSWORD = "Correct-horse-9"


def documented(title: str, **changed: Any) -> dict[str, Any]:
    """Return the one issuer that the document shows under `title`, with other addresses and ids."""
    (issuer,) = BLOCKS[title]["issuers"]
    assert changed.keys() <= {"issuer", "jwks_url", "client_ids"}
    return issuer | changed


@pytest.mark.parametrize("title", BLOCKS)
def test_every_documented_block_is_valid_unchanged(title) -> None:
    assert BLOCKS[title]["issuers"]
    Settings.model_validate({"resource_url": RESOURCE, "database": {}, **BLOCKS[title]})


def test_each_kind_of_issuer_is_documented() -> None:
    assert BLOCKS.keys() >= {COGNITO_LOGIN, COGNITO_API, COGNITO_MACHINE, NANOIDP, DPOP}
    assert BLOCKS.keys() >= {"Microsoft Entra ID", "Okta", "Auth0", "Google", *SHAPES}


@dataclass(frozen=True)
class Cognito:
    """One user pool of moto, as boto3 sees it."""

    api: Any
    url: str
    pool: str
    client: str

    @property
    def issuer(self) -> str:
        return f"https://cognito-idp.eu-west-1.amazonaws.com/{self.pool}"

    def new_client(self) -> str:
        flows = ["ALLOW_USER_PASSWORD_AUTH"]
        created = self.api.create_user_pool_client(
            UserPoolId=self.pool, ClientName="application", ExplicitAuthFlows=flows
        )
        return created["UserPoolClient"]["ClientId"]

    def add(self, person: str, *groups: str) -> str:
        """Make a person and return their `sub`."""
        self.api.admin_create_user(UserPoolId=self.pool, Username=person, MessageAction="SUPPRESS")
        self.api.admin_set_user_password(UserPoolId=self.pool, Username=person, Password=PASSWORD, Permanent=True)
        for group in groups:
            self.api.admin_add_user_to_group(UserPoolId=self.pool, Username=person, GroupName=group)
        attributes = self.api.admin_get_user(UserPoolId=self.pool, Username=person)["UserAttributes"]
        return next(one["Value"] for one in attributes if one["Name"] == "sub")

    def sign_in(self, person: str, client: str | None = None) -> dict[str, str]:
        return self.api.initiate_auth(
            ClientId=client or self.client,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": person, "PASSWORD": PASSWORD},
        )["AuthenticationResult"]


@pytest.fixture(scope="module")
def cognito() -> Iterator[Cognito]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    api: Any = boto3.client("cognito-idp", region_name="eu-west-1", endpoint_url=url, **keys)
    pool = Cognito(api, url, api.create_user_pool(PoolName="people")["UserPool"]["Id"], "")
    for tier in ("regular", "platinum"):
        api.create_group(UserPoolId=pool.pool, GroupName=tier)
    yield Cognito(api, url, pool.pool, pool.new_client())
    server.stop()


@dataclass(frozen=True)
class NanoIdp:
    """A running NanoIDP."""

    url: str

    def tokens(self, **form: str) -> dict[str, str]:
        """Return the answer of the token endpoint."""
        answer = httpx2.post(f"{self.url}/token", data=form, auth=("claims-app", "claims-app-secret"))
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def nanoidp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NanoIdp]:
    url = free_address()
    scopes = ["openid", "claims:read", "policies:read"]
    client = {"client_id": "claims-app", "client_secret": "claims-app-secret", "allowed_scopes": scopes}
    oauth = {"issuer": url, "audience": RESOURCE, "scopes_supported": scopes, "clients": [client]}
    organization = {"tenant": "broker-b", "tiers": ["platinum"]}
    emma = {"password": PASSWORD, "attributes": {"organization": organization}}
    with nanoidp_running(tmp_path_factory.mktemp("nanoidp"), url, {"oauth": oauth}, {"emma": emma}):
        yield NanoIdp(url)


@dataclass(frozen=True)
class Everyone:
    """The server with all the documented issuers at once, over the stack's database."""

    url: str

    def call(self, token: str, tool: str = "whoami", proof: str | None = None, **arguments: Any) -> httpx2.Response:
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        sent = (
            {"authorization": f"Bearer {token}"} if proof is None else {"authorization": f"DPoP {token}", "dpop": proof}
        )
        headers = {"accept": ACCEPT, **sent}
        return httpx2.post(self.url, json=body, headers=headers)

    def identity(self, token: str) -> dict[str, Any]:
        answer = self.call(token)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]["structuredContent"]


@pytest.fixture(scope="module")
def server(stack: Stack, cognito: Cognito, nanoidp: NanoIdp) -> Iterator[Everyone]:
    keys = f"{stack.addresses.issuer}/.well-known/jwks.json"
    placed = {
        COGNITO_API: {
            "issuer": cognito.issuer,
            "jwks_url": f"{cognito.url}/{cognito.pool}/.well-known/jwks.json",
            "client_ids": [cognito.client],
        },
        # Nothing but the issuer: its keys come from its discovery document.
        NANOIDP: {"issuer": nanoidp.url},
    }
    issuers = [documented(title, **placed.get(title, {"jwks_url": keys})) for title in BLOCKS]
    settings = Settings.model_validate(
        {
            "resource_url": RESOURCE,
            "issuers": issuers,
            "tenancy": BLOCKS[COGNITO_API]["tenancy"],
            "catalog": stack.settings.catalog,
            "database": stack.settings.database,
            "documents": stack.settings.documents,
        }
    )
    with serving(settings) as running:
        yield Everyone(f"{running.url}/mcp")


@pytest.fixture
def mapped(admin: psycopg.Connection, cognito: Cognito) -> Callable[..., None]:
    """Return a function that gives a subject of the Cognito pool a row in tenancy.user_tenants."""

    def insert(subject: str, tenant: str) -> None:
        admin.execute("INSERT INTO tenancy.user_tenants VALUES (%s, %s, %s)", (cognito.issuer, subject, tenant))

    return insert


def test_a_person_of_cognito_signs_in_through_the_api_and_asks(server, cognito, mapped) -> None:
    mapped(cognito.add("john", "regular"), "broker-a")
    tokens = cognito.sign_in("john")
    identity = server.identity(tokens["AccessToken"])
    assert (identity["tenant"], identity["tier"], identity["kind"]) == ("broker-a", "regular", "person")
    claims = server.call(tokens["AccessToken"], "query_claims").json()["result"]["structuredContent"]["claims"]
    assert {claim["claim_number"] for claim in claims} == {"CLM-A-001", "CLM-A-002", "CLM-A-003"}
    question = "What is the deductible for auto insurance?"
    assert "$1,000" in server.call(tokens["AccessToken"], "search_policies", query=question).text


def test_an_id_token_of_cognito_is_refused(server, cognito, mapped) -> None:
    """R45"""
    mapped(cognito.add("ida", "regular"), "broker-a")
    tokens = cognito.sign_in("ida")
    assert server.call(tokens["AccessToken"]).status_code == 200
    assert server.call(tokens["IdToken"]).status_code == 401


def test_a_person_of_cognito_in_two_groups_has_the_later_tier(server, cognito, mapped) -> None:
    mapped(cognito.add("sarah", "platinum", "regular"), "broker-b")
    assert server.identity(cognito.sign_in("sarah")["AccessToken"])["tier"] == "platinum"


def test_a_person_of_cognito_without_a_row_has_no_tenant(server, cognito) -> None:
    cognito.add("omar", "regular")
    assert server.call(cognito.sign_in("omar")["AccessToken"], "query_claims").status_code == 403


def test_another_client_of_the_same_pool_is_refused(server, cognito, mapped) -> None:
    """R48: without `aud`, the client stands in for the audience."""
    mapped(cognito.add("carl", "regular"), "broker-a")
    assert server.call(cognito.sign_in("carl", cognito.new_client())["AccessToken"]).status_code == 401


def test_nested_claims_of_nanoidp_lead_to_tenant_and_tier(server, nanoidp) -> None:
    form = {"grant_type": "password", "username": "emma", "password": PASSWORD}
    tokens = nanoidp.tokens(**form, scope="openid claims:read policies:read")
    identity = server.identity(tokens["access_token"])
    assert (identity["tenant"], identity["tier"], identity["kind"]) == ("broker-b", "platinum", "person")
    claims = server.call(tokens["access_token"], "query_claims").json()["result"]["structuredContent"]["claims"]
    assert {claim["claim_number"] for claim in claims} == {"CLM-B-001", "CLM-B-002"}
    assert server.call(tokens["id_token"]).status_code == 401


def test_a_scope_that_nanoidp_did_not_grant_is_missing(server, nanoidp) -> None:
    """R65"""
    form = {"grant_type": "password", "username": "emma", "password": PASSWORD, "scope": "claims:read"}
    answer = server.call(nanoidp.tokens(**form)["access_token"], "search_policies", query="deductible")
    assert answer.status_code == 403
    assert 'scope="claims:read policies:read"' in answer.headers["www-authenticate"]


def test_client_credentials_of_nanoidp_are_a_client(server, nanoidp, admin) -> None:
    """A machine gets its tenant from a row, and is in no tier."""
    admin.execute("INSERT INTO tenancy.user_tenants VALUES (%s, 'claims-app', 'broker-a')", (nanoidp.url,))
    token = nanoidp.tokens(grant_type="client_credentials", scope="claims:read")["access_token"]
    identity = server.identity(token)
    assert (identity["tenant"], identity["tier"], identity["kind"]) == ("broker-a", None, "client")
    assert identity["scopes"] == ["claims:read"]


URL_SCOPES = f"{RESOURCE}/claims.read {RESOURCE}/policies.read"
# What each issuer writes into an access token, apart from times.
SHAPES = {
    COGNITO_LOGIN: {
        "aud": RESOURCE, "client_id": "1example23456789", "token_use": "access", "scope": URL_SCOPES, "version": 2,
        "sub": "a", "username": "john", "tenant_id": "broker-a", "cognito:groups": ["regular"],
    },
    "Google": {
        "aud": RESOURCE, "client_id": "1example23456789", "token_use": "access", "scope": f"openid {URL_SCOPES}",
        "sub": "a", "username": "google_1", "tenant_id": "broker-a", "cognito:groups": ["pool_Google", "regular"],
    },
    COGNITO_MACHINE: {
        "client_id": "2example23456789", "sub": "2example23456789", "token_use": "access", "version": 2,
        "scope": "tenantgate/claims.read tenantgate/policies.read", "tenant_id": "broker-a", "tiers": ["regular"],
    },
    "Microsoft Entra ID": {
        "aud": "66666666-7777-8888-9999-000000000000", "azp": "3example", "azpacr": "0", "ver": "2.0", "oid": "o",
        "sub": "a", "tid": "11111111-2222-3333-4444-555555555555", "scp": "claims.read policies.read",
        "roles": ["regular"], "tenant_id": "broker-a", "nbf": None,
    },
    "Okta": {
        "aud": RESOURCE, "cid": "4example", "uid": "u", "ver": 1, "sub": "john@example.com",
        "scp": ["openid", "claims:read", "policies:read"], "groups": ["regular"], "tenant_id": "broker-a",
    },
    "Auth0": {
        "aud": [RESOURCE, "https://example.eu.auth0.com/userinfo"], "client_id": "5example", "sub": "auth0|1",
        "scope": "openid claims:read policies:read", f"{RESOURCE.removesuffix('/mcp')}/tenant_id": "broker-a",
        f"{RESOURCE.removesuffix('/mcp')}/tiers": ["regular"],
    },
    "Auth0 Organizations": {
        "aud": [RESOURCE, "https://organizations.eu.auth0.com/userinfo"], "client_id": "6example", "sub": "auth0|1",
        "scope": "openid claims:read policies:read", "org_id": "broker-a", "https://mcp.example.com/tiers": ["regular"],
    },
    "WorkOS AuthKit": {
        "aud": RESOURCE, "sub": "user_1", "sid": "session_1", "org_id": "broker-a", "role": "regular",
        "permissions": ["claims"], "scope": "openid profile",
    },
    "Clerk": {
        "aud": RESOURCE, "azp": "https://app.example.com", "sub": "user_1", "scope": "claims:read policies:read",
        "org_id": "broker-a", "role": "regular",
    },
    "Supabase": {
        "aud": "authenticated", "sub": "0f8fad5b", "email": "john@example.com", "phone": "", "role": "authenticated",
        "app_metadata": {"provider": "email", "tenant_id": "broker-a", "tier": "regular"},
        "user_metadata": {"tenant_id": "broker-b", "tier": "platinum"}, "aal": "aal1", "session_id": "s",
        "amr": [{"method": "password", "timestamp": 1}], "is_anonymous": False,
    },
    "Keycloak": {
        "aud": [RESOURCE, "account"], "azp": "7example", "sub": "a", "typ": "Bearer", "sid": "s", "acr": "1",
        "scope": "openid email claims:read policies:read", "nonce": "abc", "session_state": "x",
        "realm_access": {"roles": ["offline_access", "regular"]}, "tenant_id": "broker-a", "preferred_username": "john",
    },
    "Keycloak Organizations": {
        "aud": [RESOURCE, "account"], "azp": "7example", "sub": "a", "typ": "Bearer", "sid": "s", "acr": "1",
        "scope": "openid organization claims:read policies:read", "groups": ["regular"],
        "organization": {"broker-a": {"id": "42c3e46f-2477-44d7-a85b-d3b43f6b31fa"}},
    },
}  # fmt: skip
# And into the token of a client that acts for itself, where the issuer has one of its own shape.
MACHINES = {
    COGNITO_MACHINE: SHAPES[COGNITO_MACHINE],
    "Microsoft Entra ID": {
        "aud": "66666666-7777-8888-9999-000000000000", "azp": "3example", "azpacr": "1", "ver": "2.0", "oid": "o",
        "sub": "o", "tid": "11111111-2222-3333-4444-555555555555", "roles": ["claims.read", "policies.read", "regular"],
        "tenant_id": "broker-a",
    },
    "Keycloak": SHAPES["Keycloak"] | {
        "client_id": "7example", "clientHost": "10.0.0.1", "clientAddress": "10.0.0.1", "nonce": None,
        "preferred_username": "service-account-7example",
    },
    "Okta": SHAPES["Okta"] | {"sub": "4example", "uid": None, "scp": ["claims:read", "policies:read"]},
    "Auth0": SHAPES["Auth0"] | {"aud": RESOURCE, "sub": "5example@clients", "gty": "client-credentials"},
}  # fmt: skip
# And into the ID token of the same sign-in.
IDENTITY = {"aud": "5example", "azp": "5example", "nonce": "n", "scope": None, "scp": None, "client_id": None}


def signed(stack: Stack, title: str, claims: dict[str, Any], kind: str = "JWT") -> str:
    """Return a token of the documented issuer, signed with a key of the set that the server was given."""
    now = int(time.time())
    times = {"iss": documented(title)["issuer"], "iat": now, "nbf": now, "exp": now + 600, "jti": "1"}
    present = {name: value for name, value in (times | claims).items() if value is not None}
    algorithm = documented(title).get("algorithms", ["RS256"])[0]
    return stack.issuer._tokens.keys.sign(f"access-{algorithm}", present, kind)


@pytest.mark.parametrize("title", SHAPES)
def test_the_documented_settings_accept_the_issuers_access_tokens(server, stack, title) -> None:
    kind = documented(title).get("token_type", "JWT")
    identity = server.identity(signed(stack, title, SHAPES[title], kind))
    expected = "client" if title == COGNITO_MACHINE else "person"
    assert (identity["tenant"], identity["tier"], identity["kind"]) == ("broker-a", "regular", expected)
    assert identity["scopes"] == ["claims:read", "policies:read"]


@pytest.mark.parametrize("title", MACHINES)
def test_a_client_that_acts_for_itself_is_not_taken_for_a_person(server, stack, title) -> None:
    kind = documented(title).get("token_type", "JWT")
    identity = server.identity(signed(stack, title, MACHINES[title], kind))
    assert (identity["tenant"], identity["tier"], identity["kind"]) == ("broker-a", "regular", "client")
    assert identity["scopes"] == ["claims:read", "policies:read"]


@pytest.mark.parametrize("title", SHAPES)
def test_the_documented_settings_refuse_the_issuers_id_tokens(server, stack, title) -> None:
    """R45"""
    claims = SHAPES[title] | IDENTITY
    if "token_use" in claims:
        claims["token_use"] = "id"
    if "typ" in claims:
        claims["typ"] = "ID"
    if "role" in claims and title == "Supabase":
        # Those of its OAuth server carry what the client asked for, and no role.
        claims["role"] = None
    assert server.call(signed(stack, title, claims)).status_code == 401


@pytest.mark.parametrize("title", SHAPES)
def test_the_documented_settings_refuse_a_token_for_another_server(server, stack, title) -> None:
    """R48"""
    kind = documented(title).get("token_type", "JWT")
    elsewhere = SHAPES[title] | {"aud": "https://elsewhere.example/mcp"}
    assert server.call(signed(stack, title, elsewhere, kind)).status_code == 401


@pytest.mark.parametrize("title", [title for title in SHAPES if "token_use" in SHAPES[title]])
def test_a_token_of_cognito_that_does_not_say_its_use_is_refused(server, stack, title) -> None:
    """R44"""
    assert server.call(signed(stack, title, SHAPES[title] | {"token_use": None})).status_code == 401


def test_the_documented_settings_for_bound_tokens_accept_them_with_a_proof_and_once(server, stack) -> None:
    """R60, R61: among issuers whose tokens are plain."""
    claims = SHAPES["Keycloak"] | {"typ": "DPoP", "nonce": None}
    token = signed(stack, DPOP, claims | {"cnf": {"jkt": thumbprint(*KEY)}})
    once = proof(token)
    told = [server.call(token, proof=one) for one in (once, once, None)]
    assert [one.status_code for one in told] == [200, 401, 401]
    assert told[0].json()["result"]["structuredContent"]["tenant"] == "broker-a"
    assert told[1].headers["www-authenticate"].startswith('DPoP error="invalid_dpop_proof"')
    assert told[2].headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    assert server.call(signed(stack, DPOP, claims)).status_code == 401
    assert server.call(signed(stack, "Keycloak", claims)).status_code == 200


def test_the_server_with_every_issuer_describes_itself_from_its_settings(server) -> None:
    """R31, R32"""
    described = httpx2.get(server.url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")).json()
    assert described["resource"] == RESOURCE
    assert "https://example.eu.auth0.com/" in described["authorization_servers"]
