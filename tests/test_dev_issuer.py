"""The development identity provider, driven over HTTP as its clients drive it."""

import base64
import hashlib
import re
import secrets
import stat
import threading
import time
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx2
import jwt
import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import Route
from support.listening import bound, listening

from server.dev.issuer import application
from server.dev.issuer.application import DevelopmentIssuer
from server.dev.issuer.documents import is_document_address
from server.dev.issuer.store import ExpiringStore
from server.dev.people import Person
from server.dev.sample import PEOPLE
from server.errors import StartupError

RESOURCE = "http://127.0.0.1:8000/mcp"
SECOND_RESOURCE = "http://127.0.0.1:8000/other"
CALLBACK = "http://127.0.0.1:9/callback"
SCOPES = ("claims:read", "policies:read")
JOHN, SARAH = PEOPLE[0], PEOPLE[1]


def issuer_in(folder: Path, url: str = "http://127.0.0.1:1") -> DevelopmentIssuer:
    return DevelopmentIssuer(url, folder, [RESOURCE], PEOPLE, SCOPES)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Generator[DevelopmentIssuer]:
    listener, url = bound()
    keys = tmp_path_factory.mktemp("keys")
    built = DevelopmentIssuer(url, keys, [RESOURCE, SECOND_RESOURCE], PEOPLE, SCOPES, without_a_page=True)
    with listening(built.app, listener):
        yield built


@pytest.fixture
def http(issuer: DevelopmentIssuer) -> Generator[httpx2.Client]:
    with httpx2.Client(base_url=issuer.url, trust_env=False) as client:
        yield client


@dataclass
class Flow:
    """One client's authorization code flow, a request at a time."""

    http: httpx2.Client
    client_id: str = "tenantgate-web"
    redirect_uri: str = CALLBACK
    secret: dict[str, str] = field(default_factory=dict)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))

    def authorize(self, **extra: str) -> httpx2.Response:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        parameters = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "scope": "openid offline_access claims:read policies:read",
            "state": "s-1",
        }
        wanted = {name: value for name, value in {**parameters, **extra}.items() if value}
        return self.http.get("/authorize", params=wanted)

    def transaction(self, **extra: str) -> str:
        return query(self.authorize(**extra))["transaction"]

    def pick(self, transaction: str, person: str = JOHN.name, **extra: str) -> httpx2.Response:
        return self.http.post("/sign-in", data={"transaction": transaction, "person": person, **extra})

    def code(self, person: str = JOHN.name, **extra: str) -> str:
        return query(self.pick(self.transaction(**extra), person))["code"]

    def redeem(self, code: str, **extra: str) -> httpx2.Response:
        form = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.verifier,
            **self.secret,
        }
        return self.http.post("/token", data={**form, **extra})

    def refresh(self, token: str, **extra: str) -> httpx2.Response:
        form = {"grant_type": "refresh_token", "client_id": self.client_id, "refresh_token": token, **self.secret}
        return self.http.post("/token", data={**form, **extra})

    def tokens(self, person: str = JOHN.name, **extra: str) -> dict[str, Any]:
        answer = self.redeem(self.code(person, **extra))
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def flow(http: httpx2.Client) -> Flow:
    return Flow(http)


def query(answer: httpx2.Response) -> dict[str, str]:
    """Return the parameters of the address that an answer redirects to."""
    assert answer.status_code in {302, 303}, answer.text
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def verified(http: httpx2.Client, token: str, audience: str) -> dict[str, Any]:
    """Verify a token as a resource server would: by the key set that the discovery document names."""
    discovery = http.get("/.well-known/openid-configuration").json()
    keys = jwt.PyJWKSet.from_dict(http.get(discovery["jwks_uri"]).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    return jwt.decode(token, key, algorithms=[key.algorithm_name], audience=audience, issuer=discovery["issuer"])


# Discovery and keys


def test_both_discovery_documents_are_one_and_name_the_exact_issuer(issuer: DevelopmentIssuer, http: httpx2.Client):
    openid = http.get("/.well-known/openid-configuration").json()
    assert openid == http.get("/.well-known/oauth-authorization-server").json()
    assert openid["issuer"] == issuer.url
    assert openid["code_challenge_methods_supported"] == ["S256"]
    assert openid["client_id_metadata_document_supported"] is True
    assert openid["authorization_response_iss_parameter_supported"] is True
    assert {"claims:read", "policies:read", "openid", "offline_access"} <= set(openid["scopes_supported"])
    assert {"authorization_code", "refresh_token", "client_credentials"} == set(openid["grant_types_supported"])
    for name in ("authorization", "token", "registration", "revocation", "userinfo", "end_session"):
        assert openid[f"{name}_endpoint"].startswith(f"{issuer.url}/")


def test_the_key_set_publishes_public_halves_of_both_algorithms(http: httpx2.Client):
    answer = http.get("/.well-known/jwks.json")
    keys = answer.json()["keys"]
    assert "max-age" in answer.headers["cache-control"]
    assert {key["alg"] for key in keys} == {"RS256", "ES256"}
    assert all(key["use"] == "sig" and key["kid"] for key in keys)
    assert not {"d", "p", "q", "dp", "dq", "qi"} & {member for key in keys for member in key}


def test_signing_keys_survive_a_restart_and_only_their_owner_can_read_them(tmp_path: Path):
    first = issuer_in(tmp_path / "keys")
    token = first.mint(JOHN.name)
    second = issuer_in(tmp_path / "keys")
    assert jwt.get_unverified_header(second.mint(JOHN)) == jwt.get_unverified_header(token)
    assert second._tokens.read(token) is not None
    (file,) = (tmp_path / "keys").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_signing_key_that_others_can_read_stops_the_start(tmp_path: Path):
    issuer_in(tmp_path)
    (tmp_path / "keys.json").chmod(0o644)
    with pytest.raises(StartupError, match="chmod 600"):
        issuer_in(tmp_path)


@pytest.mark.parametrize("damage", ["no key", "{}", '{"keys": []}', '{"keys": [{"kty": "RSA"}]}'])
def test_damaged_signing_keys_stop_the_start(tmp_path: Path, damage: str):
    issuer_in(tmp_path)
    (tmp_path / "keys.json").write_text(damage)
    with pytest.raises(StartupError, match="delete it") as refused:
        issuer_in(tmp_path)
    # What was raised below it may quote a private key.
    assert refused.value.__suppress_context__


def test_rotation_signs_with_a_new_key_and_still_publishes_the_old_one(issuer: DevelopmentIssuer, http: httpx2.Client):
    before = issuer.mint(JOHN.name)
    kid = issuer.rotate()
    after = issuer.mint(JOHN.name)
    assert jwt.get_unverified_header(after)["kid"] == kid != jwt.get_unverified_header(before)["kid"]
    assert verified(http, before, RESOURCE)["sub"] == verified(http, after, RESOURCE)["sub"] == JOHN.subject


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8001/", "http://idp.example:8001", "http://0.0.0.0:8001", "http://127.0.0.1:8001@evil"]
)
def test_an_issuer_off_loopback_or_with_a_slash_does_not_start(url: str, tmp_path: Path):
    with pytest.raises(StartupError):
        issuer_in(tmp_path, url)


# Tokens


def test_an_access_token_has_the_shape_of_cognitos(issuer: DevelopmentIssuer, http: httpx2.Client, flow: Flow):
    tokens = flow.tokens()
    claims = verified(http, tokens["access_token"], RESOURCE)
    header = jwt.get_unverified_header(tokens["access_token"])
    assert (header["typ"], header["alg"]) == ("at+jwt", "RS256")
    expected = {
        "iss": issuer.url,
        "sub": JOHN.subject,
        "username": JOHN.name,
        "client_id": "tenantgate-web",
        "token_use": "access",
        "scope": "openid offline_access claims:read policies:read",
        "cognito:groups": ["regular"],
        "custom:tenant_id": "broker-a",
        "aud": RESOURCE,
        "version": 2,
    }
    assert {name: claims[name] for name in expected} == expected
    assert claims["exp"] - claims["iat"] == tokens["expires_in"] == 3600
    assert {"auth_time", "jti"} <= set(claims)


def test_an_id_token_is_for_the_client_and_signed_with_another_key(http: httpx2.Client, flow: Flow):
    tokens = flow.tokens(nonce="n-1")
    claims = verified(http, tokens["id_token"], "tenantgate-web")
    header = jwt.get_unverified_header(tokens["id_token"])
    assert header["typ"] == "JWT"
    assert header["kid"] != jwt.get_unverified_header(tokens["access_token"])["kid"]
    assert (claims["token_use"], claims["nonce"], claims["name"]) == ("id", "n-1", JOHN.name)
    assert "client_id" not in claims
    assert "scope" not in claims


def test_an_id_token_comes_only_with_openid_and_a_nonce_only_when_asked(http: httpx2.Client, flow: Flow):
    assert "id_token" not in flow.tokens(scope="claims:read")
    assert "nonce" not in verified(http, flow.tokens()["id_token"], "tenantgate-web")


@pytest.mark.parametrize(
    ("name", "absent"), [("nora-no-tier", "cognito:groups"), ("omar-unmapped", "custom:tenant_id")]
)
def test_a_person_without_group_or_tenant_has_no_such_claim(http: httpx2.Client, flow: Flow, name: str, absent: str):
    tokens = flow.tokens(name)
    assert absent not in verified(http, tokens["access_token"], RESOURCE)
    assert absent not in verified(http, tokens["id_token"], "tenantgate-web")


def test_a_minted_token_verifies_and_takes_every_override(issuer: DevelopmentIssuer, http: httpx2.Client):
    token = issuer.mint(SARAH.name, scopes=["claims:read"], resource=SECOND_RESOURCE, algorithm="ES256")
    claims = verified(http, token, SECOND_RESOURCE)
    assert (claims["sub"], claims["scope"]) == (SARAH.subject, "claims:read")
    overrides: dict[str, Any] = {"aud": "urn:other", "custom:tenant_id": None}
    changed = issuer.mint(SARAH, **overrides)
    claims = verified(http, changed, "urn:other")
    assert "custom:tenant_id" not in claims
    with pytest.raises(jwt.ExpiredSignatureError):
        verified(http, issuer.mint(SARAH, lifetime_s=-60), RESOURCE)


def test_minting_for_an_unknown_person_names_the_known_ones(issuer: DevelopmentIssuer):
    with pytest.raises(StartupError, match=r"'nobody'.*john-regular.*omar-unmapped"):
        issuer.mint("nobody")


def test_a_minted_client_token_is_its_own_subject_in_no_group(issuer: DevelopmentIssuer, http: httpx2.Client):
    claims = verified(http, issuer.mint_client("nightly-report", ["claims:read"]), RESOURCE)
    assert claims["sub"] == claims["client_id"] == "nightly-report"
    assert not {"cognito:groups", "custom:tenant_id", "username"} & set(claims)


# Signing in


def test_the_sign_in_page_lists_the_people_and_can_neither_be_framed_nor_load_anything(flow: Flow):
    answer = flow.http.get(flow.authorize(login_hint=SARAH.name).headers["location"])
    policy = answer.headers["content-security-policy"]
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' http://127.0.0.1:9;" in policy
    assert "<script" not in answer.text
    assert not re.search(r"(src|href)=", answer.text)
    style = re.search(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    for person in PEOPLE:
        assert f'value="{person.name}"' in answer.text
    assert re.findall(r'value="([^"]+)" required checked', answer.text) == [SARAH.name]


def test_what_a_client_says_of_itself_is_escaped(http: httpx2.Client):
    registered = register(http, client_name="<img src=x>", token_endpoint_auth_method="none").json()
    page = http.get(Flow(http, registered["client_id"]).authorize(login_hint='"><b>').headers["location"])
    assert "&lt;img src=x&gt;" in page.text
    assert "<img" not in page.text
    assert "<b>" not in page.text


def test_picking_a_person_returns_code_state_and_issuer(issuer: DevelopmentIssuer, flow: Flow):
    answer = flow.pick(flow.transaction())
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{CALLBACK}?")
    returned = query(answer)
    assert (returned["state"], returned["iss"]) == ("s-1", issuer.url)


def test_a_sign_in_is_answered_once(flow: Flow):
    transaction = flow.transaction()
    assert flow.pick(transaction, "nobody").status_code == 400
    assert flow.pick(transaction).status_code == 303
    assert flow.pick(transaction).status_code == 400
    assert flow.http.get("/sign-in", params={"transaction": transaction}).status_code == 400


def test_a_sign_in_can_be_cancelled(issuer: DevelopmentIssuer, flow: Flow):
    returned = query(flow.pick(flow.transaction(), "", decision="deny"))
    assert returned == {"error": "access_denied", "state": "s-1", "iss": issuer.url}


def test_the_web_demo_signs_a_sample_person_in_without_a_page(issuer: DevelopmentIssuer, flow: Flow):
    returned = query(flow.authorize(prompt="none", login_hint=SARAH.name))
    assert (returned["state"], returned["iss"]) == ("s-1", issuer.url)
    token = flow.redeem(returned["code"]).json()["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["sub"] == SARAH.subject


def test_no_other_client_signs_a_person_in_without_a_page(http: httpx2.Client):
    """R260: its code could leave this machine, and nobody has looked at a page that names it."""
    sent = {"redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", "any_loopback_redirect": True}
    registered = http.post("/register", json=sent).json()
    answer = Flow(http, registered["client_id"]).authorize(prompt="none", login_hint=SARAH.name)
    assert query(answer)["error"] == "access_denied"


def test_at_an_own_database_nobody_signs_in_without_a_page(tmp_path: Path):
    listener, url = bound()
    with listening(issuer_in(tmp_path, url).app, listener), httpx2.Client(base_url=url, trust_env=False) as http:
        assert query(Flow(http).authorize(prompt="none", login_hint=SARAH.name))["error"] == "access_denied"


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"scope": "openid claims:write"}, "invalid_scope"),
        ({"resource": "https://elsewhere.example/mcp"}, "invalid_target"),
        ({"resource": f"{RESOURCE}/"}, "invalid_target"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"prompt": "none"}, "access_denied"),
        ({"prompt": "none", "login_hint": "nobody"}, "access_denied"),
    ],
)
def test_a_faulty_request_goes_back_to_the_client_with_state_and_issuer(
    issuer: DevelopmentIssuer, flow: Flow, change: dict[str, str], error: str
):
    returned = query(flow.authorize(**change))
    assert (returned["error"], returned["state"], returned["iss"]) == (error, "s-1", issuer.url)
    assert "code" not in returned


@pytest.mark.parametrize(
    "change",
    [
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1@evil.example/callback"},
        {"redirect_uri": "http://127.0.0.1.evil.example/callback"},
        {"redirect_uri": f"{CALLBACK}#fragment"},
        {"redirect_uri": "javascript:alert(1)"},
        {"redirect_uri": ""},
        {"client_id": "unknown"},
    ],
)
def test_a_request_from_nowhere_trustworthy_is_not_redirected(flow: Flow, change: dict[str, str]):
    answer = flow.authorize(**change)
    assert answer.status_code == 400
    assert "location" not in answer.headers


def test_a_repeated_parameter_is_refused(http: httpx2.Client):
    pairs = [("client_id", "tenantgate-web"), ("resource", RESOURCE), ("resource", SECOND_RESOURCE)]
    assert http.get("/authorize", params=urlencode(pairs)).status_code == 400
    form = "grant_type=client_credentials&client_id=nightly-report&client_id=nightly-report"
    answer = http.post("/token", content=form, headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.json()["error"] == "invalid_request"


def test_an_authorization_request_may_be_posted(flow: Flow):
    challenge = base64.urlsafe_b64encode(hashlib.sha256(flow.verifier.encode()).digest()).rstrip(b"=").decode()
    form = {"response_type": "code", "client_id": flow.client_id, "redirect_uri": CALLBACK, "scope": "claims:read"}
    answer = flow.http.post("/authorize", data={**form, "code_challenge": challenge})
    assert flow.redeem(query(flow.pick(query(answer)["transaction"]))["code"]).json()["scope"] == "claims:read"


# Codes


def test_a_code_needs_its_verifier(flow: Flow):
    answer = flow.redeem(flow.code(), code_verifier=secrets.token_urlsafe(48))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_grant")


def test_a_code_works_once_and_its_second_use_revokes_the_refresh_token(flow: Flow):
    code = flow.code()
    tokens = flow.redeem(code).json()
    assert flow.redeem(code).json()["error"] == "invalid_grant"
    assert flow.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_a_code_is_bound_to_its_redirect_uri(flow: Flow):
    answer = flow.redeem(flow.code(), redirect_uri="http://127.0.0.1:10/callback")
    assert answer.status_code == 400
    assert "access_token" not in answer.json()


def test_a_code_is_bound_to_its_client(flow: Flow):
    other = register(flow.http, token_endpoint_auth_method="none").json()["client_id"]
    assert flow.redeem(flow.code(), client_id=other).json()["error"] == "invalid_grant"


def test_a_code_is_bound_to_its_resource(http: httpx2.Client, flow: Flow):
    code = flow.code(resource=SECOND_RESOURCE)
    assert flow.redeem(code, resource=RESOURCE).json()["error"] == "invalid_target"
    token = flow.redeem(code, resource=SECOND_RESOURCE).json()["access_token"]
    assert verified(http, token, SECOND_RESOURCE)["aud"] == SECOND_RESOURCE


def test_an_expiring_store_forgets_what_is_old_and_what_is_too_much():
    store: ExpiringStore[int] = ExpiringStore(lifetime_s=0.05, capacity=2)
    for number in range(3):
        store.put(str(number), number)
    assert [store.get(str(number)) for number in range(3)] == [None, 1, 2]
    assert store.take("1") == 1
    assert store.take("1") is None
    time.sleep(0.06)
    assert store.get("2") is None
    store.put("3", 3)
    assert list(store._entries) == ["3"]


# Refreshing


def test_a_refresh_keeps_person_resource_and_sign_in_time(http: httpx2.Client, flow: Flow):
    tokens = flow.tokens(SARAH.name, resource=SECOND_RESOURCE, nonce="n-1")
    before = verified(http, tokens["access_token"], SECOND_RESOURCE)
    renewed = flow.refresh(tokens["refresh_token"], resource=SECOND_RESOURCE).json()
    after = verified(http, renewed["access_token"], SECOND_RESOURCE)
    same = ("sub", "aud", "scope", "auth_time", "cognito:groups", "custom:tenant_id", "origin_jti")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert after["jti"] != before["jti"]
    assert verified(http, renewed["id_token"], "tenantgate-web")["sub"] == SARAH.subject


def test_a_refresh_token_rotates_and_reuse_revokes_the_family(flow: Flow):
    first = flow.tokens()["refresh_token"]
    second = flow.refresh(first).json()["refresh_token"]
    assert second != first
    third = flow.refresh(second).json()["refresh_token"]
    assert flow.refresh(first).json()["error"] == "invalid_grant"
    assert flow.refresh(third).json()["error"] == "invalid_grant"


def test_what_an_access_token_says_cannot_spoil_the_refresh_token(http: httpx2.Client, flow: Flow):
    tokens = flow.tokens()
    origin = verified(http, tokens["access_token"], RESOURCE)["origin_jti"]
    assert flow.refresh(f"{origin}.x").json()["error"] == "invalid_grant"
    assert flow.refresh(tokens["refresh_token"]).status_code == 200


def test_a_refresh_may_narrow_scopes_but_not_widen_them_or_move_to_another_resource(flow: Flow):
    tokens = flow.tokens(scope="openid claims:read")
    assert flow.refresh(tokens["refresh_token"], scope="policies:read").json()["error"] == "invalid_scope"
    assert flow.refresh(tokens["refresh_token"], resource=SECOND_RESOURCE).json()["error"] == "invalid_target"
    narrow = flow.refresh(tokens["refresh_token"], scope="claims:read").json()
    assert narrow["scope"] == "claims:read"
    assert flow.refresh(narrow["refresh_token"]).json()["scope"] == "openid claims:read"


def test_a_refresh_token_is_bound_to_its_client(flow: Flow):
    token = flow.tokens()["refresh_token"]
    other = register(flow.http, token_endpoint_auth_method="none").json()["client_id"]
    assert flow.refresh(token, client_id=other).json()["error"] == "invalid_grant"
    assert flow.refresh(token).status_code == 200


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
def test_revocation_by_a_public_client_stops_the_whole_sign_in(flow: Flow, kind: str):
    tokens = flow.tokens()
    answer = flow.http.post("/revoke", data={"client_id": flow.client_id, "token": tokens[kind]})
    assert answer.status_code == 200
    assert flow.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert flow.http.get("/userinfo", headers=bearer).status_code == 401


# Machines


@pytest.mark.parametrize("basic", [False, True])
def test_client_credentials_make_a_token_without_person(http: httpx2.Client, basic: bool):
    form = {"grant_type": "client_credentials", "scope": "claims:read", "resource": SECOND_RESOURCE}
    credentials = ("nightly-report", "nightly-report-secret")
    if basic:
        answer = http.post("/token", data=form, auth=credentials)
    else:
        answer = http.post("/token", data={**form, "client_id": credentials[0], "client_secret": credentials[1]})
    assert answer.headers["cache-control"] == "no-store"
    claims = verified(http, answer.json()["access_token"], SECOND_RESOURCE)
    assert claims["sub"] == claims["client_id"] == "nightly-report"
    assert claims["scope"] == answer.json()["scope"] == "claims:read"
    assert not {"cognito:groups", "custom:tenant_id", "username"} & set(claims)


@pytest.mark.parametrize(
    ("change", "status", "error"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_secret": ""}, 401, "invalid_client"),
        ({"client_id": "unknown"}, 401, "invalid_client"),
        ({"client_id": "tenantgate-web"}, 400, "unauthorized_client"),
        ({"scope": "claims:write"}, 400, "invalid_scope"),
        ({"scope": "openid"}, 400, "invalid_scope"),
        ({"resource": "https://elsewhere.example"}, 400, "invalid_target"),
        ({"grant_type": "password"}, 400, "invalid_request"),
    ],
)
def test_a_machine_without_the_right_is_refused(http: httpx2.Client, change: dict[str, str], status: int, error: str):
    form = {"grant_type": "client_credentials", "client_id": "nightly-report", "client_secret": "nightly-report-secret"}
    answer = http.post("/token", data={**form, **change})
    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_a_client_that_sends_wrong_basic_credentials_reads_the_scheme(http: httpx2.Client):
    form = {"grant_type": "client_credentials"}
    refused = http.post("/token", data=form, auth=("nightly-report", "wrong"))
    assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Basic")
    assert "www-authenticate" not in http.post("/token", data={**form, "client_id": "nightly-report"}).headers


# Clients


def register(http: httpx2.Client, **metadata: Any) -> httpx2.Response:
    return http.post("/register", json={"redirect_uris": [CALLBACK], "client_name": "A test", **metadata})


@pytest.mark.parametrize("method", ["none", "client_secret_post", "client_secret_basic"])
def test_a_registered_client_signs_in_on_any_loopback_port(http: httpx2.Client, method: str):
    answer = register(http, token_endpoint_auth_method=method)
    assert answer.status_code == 201
    client = answer.json()
    assert ("client_secret" in client) == (method != "none")
    flow = Flow(http, client["client_id"], redirect_uri="http://127.0.0.1:4242/callback")
    if method == "client_secret_basic":
        http.auth = (client["client_id"], client["client_secret"])
    elif method == "client_secret_post":
        flow.secret = {"client_secret": client["client_secret"]}
        assert flow.redeem(flow.code(), client_secret="wrong").status_code == 401
    assert flow.tokens()["refresh_token"]


def test_a_registered_client_is_held_to_its_paths(http: httpx2.Client):
    client = register(http, token_endpoint_auth_method="none").json()
    assert Flow(http, client["client_id"], redirect_uri="http://127.0.0.1:9/elsewhere").authorize().status_code == 400
    assert Flow(http, client["client_id"], redirect_uri="http://localhost:9/callback").authorize().status_code == 400


@pytest.mark.parametrize(
    ("uri", "status"),
    [
        ("http://localhost/callback", 201),
        ("http://[::1]:7/callback", 201),
        ("https://vscode.dev/redirect", 201),
        ("cursor://anysphere.cursor-retrieval/oauth/callback", 201),
        ("vscode://vendor.extension/callback", 201),
        ("com.example.app:/callback", 201),
        ("http://evil.example/callback", 400),
        ("http://user@127.0.0.1/callback", 400),
        ("https://example.com/callback#part", 400),
        ("javascript:alert(1)", 400),
        ("data:text/html,x", 400),
        ("file:///etc/passwd", 400),
    ],
)
def test_registration_limits_where_codes_may_go(http: httpx2.Client, uri: str, status: int):
    answer = register(http, redirect_uris=[uri], token_endpoint_auth_method="none")
    assert answer.status_code == status
    if status == 201:
        client = Flow(http, answer.json()["client_id"], redirect_uri=uri)
        assert client.pick(client.transaction()).headers["location"].startswith(f"{uri}?code=")


def test_registration_gives_no_right_to_act_without_a_person(http: httpx2.Client):
    client = register(http, grant_types=["authorization_code", "client_credentials"]).json()
    assert client["grant_types"] == ["authorization_code"]
    form = {"grant_type": "client_credentials", "client_id": client["client_id"]}
    answer = http.post("/token", data={**form, "client_secret": client["client_secret"]})
    assert answer.json()["error"] == "unauthorized_client"
    flow = Flow(http, client["client_id"], secret={"client_secret": client["client_secret"]})
    assert "refresh_token" not in flow.tokens()


def test_a_client_may_be_the_address_of_its_own_document(http: httpx2.Client):
    listener, base = bound()
    redirect_uri = "http://localhost/callback"

    def document(name: str, **members: Any) -> Route:
        content = {"client_id": f"{base}/{name}", "client_name": name, "redirect_uris": [redirect_uri], **members}
        return Route(f"/{name}", JSONResponse(content))

    documents = [
        document("good"),
        document("other", client_id=f"{base}/good"),
        document("secret", client_secret="x"),
        document("evil", redirect_uris=["http://evil.example/"]),
        document("large", client_name="x" * 10_240),
        document("target", client_id=f"{base}/moved"),
        Route("/moved", RedirectResponse("/target")),
        document("greedy", any_loopback_redirect=True, grant_types=["authorization_code", "client_credentials"]),
    ]
    with listening(Starlette(routes=documents), listener):
        flow = Flow(http, f"{base}/good", redirect_uri="http://localhost:4242/callback")
        assert verified(http, flow.tokens()["access_token"], RESOURCE)["client_id"] == f"{base}/good"
        for name in ("other", "secret", "evil", "large", "moved", "missing"):
            refused = Flow(http, f"{base}/{name}", redirect_uri=redirect_uri).authorize()
            assert refused.status_code == 400, name
        greedy = Flow(http, f"{base}/greedy", redirect_uri="http://localhost/elsewhere")
        assert greedy.authorize().status_code == 400
        machine = {"grant_type": "client_credentials", "client_id": f"{base}/greedy"}
        assert http.post("/token", data=machine).json()["error"] == "unauthorized_client"
    assert Flow(http, f"{base}/gone", redirect_uri=redirect_uri).authorize().status_code == 400


@pytest.mark.parametrize(
    ("address", "acceptable"),
    [
        ("https://client.example/mcp.json", True),
        ("http://127.0.0.1:8080/mcp.json", True),
        ("http://client.example/mcp.json", False),
        ("http://169.254.169.254/latest/meta-data", False),
        ("https://client.example/", False),
        ("https://user@client.example/mcp.json", False),
        ("https://client.example/a/../mcp.json", False),
        ("https://client.example/mcp.json#part", False),
        ("file:///etc/passwd", False),
        ("http://[", False),
    ],
)
def test_only_https_and_loopback_documents_are_fetched(address: str, acceptable: bool):
    assert is_document_address(address) is acceptable


# The browser's side


def test_userinfo_shows_who_the_bearer_is(issuer: DevelopmentIssuer, http: httpx2.Client, flow: Flow):
    token = flow.tokens()["access_token"]
    answer = http.get("/userinfo", headers={"Authorization": f"Bearer {token}"})
    assert (answer.json()["sub"], answer.json()["name"]) == (JOHN.subject, JOHN.name)
    assert http.get("/userinfo").status_code == 401
    without_openid = issuer.mint(JOHN, scopes=["claims:read"])
    assert http.get("/userinfo", headers={"Authorization": f"Bearer {without_openid}"}).status_code == 403
    foreign = jwt.encode({"sub": "x", "iss": issuer.url}, "k" * 32, algorithm="HS256", headers={"kid": "k"})
    assert http.get("/userinfo", headers={"Authorization": f"Bearer {foreign}"}).status_code == 401


@pytest.mark.parametrize("change", [{"token_use": "id"}, {"sub": None}, {"iss": "http://127.0.0.1:1"}])
def test_userinfo_refuses_a_token_of_another_shape(
    issuer: DevelopmentIssuer, http: httpx2.Client, change: dict[str, Any]
):
    bearer = {"Authorization": f"Bearer {issuer.mint(JOHN, scopes=['openid'], **change)}"}
    assert http.get("/userinfo", headers=bearer).status_code == 401


@pytest.mark.parametrize("token", ["id_token", "refresh_token"])
def test_userinfo_takes_access_tokens_only(http: httpx2.Client, flow: Flow, token: str):
    bearer = {"Authorization": f"Bearer {flow.tokens()[token]}"}
    assert http.get("/userinfo", headers=bearer).status_code == 401


def test_logout_returns_to_this_machine_only(http: httpx2.Client):
    back = http.get("/logout", params={"post_logout_redirect_uri": "http://localhost:5173/", "state": "s"})
    assert back.headers["location"] == "http://localhost:5173/?state=s"
    away = http.get("/logout", params={"post_logout_redirect_uri": "https://evil.example/"})
    assert away.status_code == 400
    assert http.get("/logout").status_code == 200


@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        ("http://127.0.0.1:5173", True),
        ("http://localhost:5173", True),
        ("http://localhost", True),
        ("https://evil.example", False),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1:5173@evil.example", False),
        ("null", False),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/token"),
        ("POST", "/register"),
        ("POST", "/revoke"),
        ("GET", "/userinfo"),
        ("GET", "/.well-known/jwks.json"),
        ("GET", "/.well-known/openid-configuration"),
        ("GET", "/.well-known/oauth-authorization-server"),
    ],
)
def test_only_pages_of_this_machine_may_read_answers(
    http: httpx2.Client, method: str, path: str, origin: str, allowed: bool
):
    expected = origin if allowed else None
    answer = http.request(method, path, headers={"Origin": origin})
    assert answer.headers.get("access-control-allow-origin") == expected
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": "authorization"}
    preflight = http.options(path, headers={"Origin": origin, **asked})
    assert preflight.headers.get("access-control-allow-origin") == expected


def test_no_page_elsewhere_may_read_the_sign_in(flow: Flow):
    transaction = flow.transaction()
    origin = {"Origin": "http://localhost:5173"}
    answer = flow.http.get("/sign-in", params={"transaction": transaction}, headers=origin)
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "127.0.0.1:80@evil", "0.0.0.0", ""])
def test_a_foreign_host_is_refused_on_every_path(http: httpx2.Client, host: str):
    for path in ("/.well-known/openid-configuration", "/sign-in", "/nowhere"):
        assert http.get(path, headers={"Host": host}).status_code == 421


def test_a_slash_too_many_is_not_found_rather_than_redirected(http: httpx2.Client):
    assert http.get("/.well-known/jwks.json/").status_code == 404
    assert http.get("/token").status_code == 405


def test_an_oversized_form_is_refused(http: httpx2.Client):
    assert http.post("/token", data={"code": "x" * 70_000}).status_code == 413


def test_other_people_and_scopes_can_be_named(tmp_path: Path):
    somebody = Person("zoe", "zoe-subject", "broker-z", ())
    built = DevelopmentIssuer("http://127.0.0.1:1", tmp_path, [RESOURCE], people=[somebody], scopes=["one"])
    claims = jwt.decode(built.mint("zoe"), options={"verify_signature": False})
    assert (claims["sub"], claims["scope"]) == ("zoe-subject", "one")
    with pytest.raises(StartupError, match="use one of zoe"):
        built.mint(JOHN.name)


def test_processes_that_start_at_once_agree_on_the_keys(tmp_path: Path):
    started: list[DevelopmentIssuer] = []
    threads = [threading.Thread(target=lambda: started.append(issuer_in(tmp_path))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    published = [issuer._tokens.keys.published() for issuer in started]
    assert published == [published[0]] * 4
    assert [file.name for file in tmp_path.iterdir()] == ["keys.json"]


def test_the_issuer_takes_its_people_and_scopes_from_its_caller_alone():
    folder = Path(application.__file__).parent
    source = "".join(file.read_text(encoding="utf-8") for file in folder.glob("*.py"))
    sample = {word for person in PEOPLE for word in (person.name, person.tenant, *person.groups) if word}
    assert not [word for word in {"server.settings", "server.dev.sample", *sample, *SCOPES} if word in source]
