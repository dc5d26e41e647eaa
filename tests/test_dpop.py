"""Tokens that are bound to a key (RFC 9449): good with a proof of that key for this very request, once."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import httpx2
import pytest
from support.dpop import KEY, RESOURCE, bound, jwk_of, proof, thumbprint
from support.gate import BODY
from support.issuer import Issuer, private_jwk, private_key, signed
from support.logs import own_logs

from server.auth import used_proofs
from server.auth.metadata import ResourceMetadata
from server.auth.proofs import ALGORITHMS, WINDOW_S, DpopProof
from server.auth.used_proofs import UsedProofs
from server.auth.verifier import TokenVerifier
from server.errors import TokenRefusedError
from server.http.gate import Gate
from server.http.outcome import Decision, Outcome, VerifiedRequest
from server.settings import Settings
from server.tenancy.limits import Limits

METADATA = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
SCOPES = ("claims:read",)
ALGS = " ".join(ALGORITHMS)
Send = Callable[..., Awaitable[httpx2.Response]]


@pytest.fixture(scope="module")
def issuer() -> Generator[Issuer]:
    with Issuer(aud=RESOURCE, scope="claims:read", tenant_id="acme").running() as running:
        yield running


def settings_of(*issuers: Issuer, modes: tuple[str, ...] = ("accepted",)) -> Settings:
    described = [
        {"issuer": issuer.url, "audiences": [RESOURCE], "dpop": mode}
        for issuer, mode in zip(issuers, modes, strict=True)
    ]
    return Settings.model_validate(
        {"resource_url": RESOURCE, "issuers": described, "allowed_hosts": ["mcp.example.com", "other.test"]}
    )


def talk(settings: Settings, story: Callable[[Send], Awaitable[Any]]) -> Any:
    """Run `story`, which sends credentials to a gate over these settings; whoever is let in gets 200."""

    async def admitted(request: VerifiedRequest) -> Outcome:
        return Outcome(200, request.token.subject.encode(), (), Decision("POST"))

    async def told() -> Any:
        verifier = TokenVerifier(settings, SCOPES)
        gate = Gate(admitted, settings, verifier, ResourceMetadata(settings, SCOPES), Limits(settings.limits))
        transport = httpx2.ASGITransport(gate)

        async def send(
            token: str, *proofs: str, scheme: str = "DPoP", host: str = "mcp.example.com"
        ) -> httpx2.Response:
            headers = [("authorization", f"{scheme} {token}"), ("content-type", "application/json")]
            async with httpx2.AsyncClient(transport=transport, base_url=f"https://{host}") as http:
                return await http.post("/mcp", content=BODY, headers=headers + [("dpop", one) for one in proofs])

        try:
            return await story(send)
        finally:
            await verifier.close()

    return asyncio.run(told())


def answers(settings: Settings, *requests: tuple[Any, ...], **options: Any) -> list[httpx2.Response]:
    """Send requests, each a token and its proofs, to one gate."""

    async def story(send: Send) -> list[httpx2.Response]:
        return [await send(*request, **options) for request in requests]

    return talk(settings, story)


@pytest.mark.parametrize("scheme", ["DPoP", "dpop", "DPOP"])
@pytest.mark.parametrize("mode", ["accepted", "required"])
def test_a_bound_token_is_good_with_a_proof_of_its_key(issuer, mode, scheme) -> None:
    """R61."""
    token = bound(issuer)
    (answer,) = answers(settings_of(issuer, modes=(mode,)), (token, proof(token)), scheme=scheme)
    assert (answer.status_code, answer.text) == (200, "somebody")


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (KEY, "ES256"),
        (("RSA", "first"), "RS256"),
        (("RSA", "first"), "PS256"),
        (("OKP", "of the client"), "EdDSA"),
        (("OKP", "of the client"), "Ed25519"),
    ],
)
def test_a_proof_may_be_made_with_each_published_algorithm(issuer, key, algorithm) -> None:
    assert algorithm in ALGORITHMS
    token = bound(issuer, key)
    (answer,) = answers(settings_of(issuer), (token, proof(token, key, algorithm)))
    assert answer.status_code == 200


def other(kind: str = "EC", name: str = "of somebody else") -> tuple[str, str]:
    return kind, name


# Proofs that do not fit, and why, as the log has it.
BAD: dict[str, tuple[Callable[[str], str], str]] = {
    "no proof": (lambda _: "", "no DPoP proof"),
    "no token at all": (lambda _: "proof", "not a compact JWS"),
    "a proof over 4 KB": (lambda t: proof(t, padding="x" * 4_096), "not a compact JWS of acceptable size"),
    "the access token itself": (lambda t: t, "header"),
    "another key": (lambda t: proof(t, other()), "another key"),
    "the right key shown, another used": (lambda t: proof(t, other(), header={"jwk": jwk_of(*KEY)}), "not verify"),
    "typ missing": (lambda t: proof(t, header={"typ": None}), "header"),
    "typ JWT": (lambda t: proof(t, header={"typ": "JWT"}), "header"),
    "alg none": (lambda t: proof(t, header={"alg": "none"}), "header"),
    "alg HS256": (lambda t: proof(t, header={"alg": "HS256"}), "header"),
    "alg of another kind": (lambda t: proof(t, header={"alg": "RS256"}), "not verify"),
    "alg a list": (lambda t: proof(t, header={"alg": ["ES256"]}), "header"),
    "crit": (lambda t: proof(t, header={"crit": ["exp"]}), "header"),
    "jku": (lambda t: proof(t, header={"jku": "https://evil.example/keys"}), "header"),
    "jwk missing": (lambda t: proof(t, header={"jwk": None}), "jwk"),
    "jwk a text": (lambda t: proof(t, header={"jwk": "x"}), "jwk"),
    "jwk with a surrogate": (lambda t: proof(t, header={"jwk": {**jwk_of(*KEY), "x": "\ud800"}}), "another key"),
    "jwk symmetric": (lambda t: proof(t, header={"jwk": {"kty": "oct", "k": "c2VjcmV0"}}), "not a public key"),
    "jwk private": (lambda t: proof(t, header={"jwk": {**jwk_of(*KEY), "d": "AQAB"}}), "not a public key"),
    "jwk a private RSA key": (
        lambda t: proof(t, ("RSA", "first"), "RS256", {"jwk": private_jwk(private_key("RSA", "first"), "x")}),
        "not a public key",
    ),
    "jwk without a coordinate": (lambda t: proof(t, header={"jwk": {**jwk_of(*KEY), "y": None}}), "not a public key"),
    "htm GET": (lambda t: proof(t, htm="GET"), "another request"),
    "htm in lower case": (lambda t: proof(t, htm="post"), "another request"),
    "htm missing": (lambda t: proof(t, htm=None), "another request"),
    "htu of another server": (lambda t: proof(t, htu="https://other.test/mcp"), "another request"),
    "htu of another path": (lambda t: proof(t, htu=f"{RESOURCE}/t/acme"), "another request"),
    "htu of another scheme": (lambda t: proof(t, htu="http://mcp.example.com/mcp"), "another request"),
    "htu of another port": (lambda t: proof(t, htu="https://mcp.example.com:8443/mcp"), "another request"),
    "htu with a user": (lambda t: proof(t, htu="https://x@mcp.example.com/mcp"), "another request"),
    "htu that is no URL": (lambda t: proof(t, htu="https://mcp.example.com:x/mcp"), "another request"),
    "htu a list": (lambda t: proof(t, htu=[RESOURCE]), "another request"),
    "htu missing": (lambda t: proof(t, htu=None), "another request"),
    "ath of another token": (lambda t: proof(t + "x"), "another token"),
    "ath missing": (lambda t: proof(t, ath=None), "another token"),
    "jti missing": (lambda t: proof(t, jti=None), "jti"),
    "jti empty": (lambda t: proof(t, jti=""), "jti"),
    "jti a number": (lambda t: proof(t, jti=7), "jti"),
    "jti of 257 characters": (lambda t: proof(t, jti="j" * 257), "jti"),
    "iat missing": (lambda t: proof(t, iat=None), "iat"),
    "iat a text": (lambda t: proof(t, iat=str(int(time.time()))), "iat"),
    "iat true": (lambda t: proof(t, iat=True), "iat"),
    "iat too old": (lambda t: proof(t, iat=int(time.time()) - WINDOW_S - 2), "clock is wrong"),
    "iat too far ahead": (lambda t: proof(t, iat=int(time.time()) + WINDOW_S + 3), "clock is wrong"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_proof_that_does_not_fit_is_refused_with_one_answer(issuer, case) -> None:
    """R61, R63: the log has the reason."""
    make, reason = BAD[case]
    token = bound(issuer)
    with own_logs() as lines:
        (answer,) = answers(settings_of(issuer), (token, make(token)))
    assert answer.status_code == 401
    assert answer.json()["error"]["message"] == (
        "The DPoP proof is missing, malformed, used before or not made for this request; make a new one."
    )
    assert answer.headers["www-authenticate"] == (
        f'DPoP error="invalid_dpop_proof", scope="claims:read", resource_metadata="{METADATA}", algs="{ALGS}"'
    )
    (line,) = [line for line in lines if line["event"] == "request"]
    assert reason in line["refused"]
    assert line["issuer"] == issuer.url


@pytest.mark.parametrize(
    "htu",
    [
        RESOURCE,
        f"{RESOURCE}?a=b",
        f"{RESOURCE}#part",
        "HTTPS://MCP.EXAMPLE.COM/mcp",
        "https://mcp.example.com:443/mcp",
    ],
)
def test_the_address_in_a_proof_is_compared_as_addresses_are(issuer, htu) -> None:
    """RFC 9449 section 4.3: without query and fragment, normalised."""
    token = bound(issuer)
    (answer,) = answers(settings_of(issuer), (token, proof(token, htu=htu)))
    assert answer.status_code == 200


def test_the_address_comes_from_the_settings_and_never_from_host(issuer) -> None:
    """R61, R31: a proof that was made for another server is not good here, whatever the request says."""
    token = bound(issuer)
    requests = (token, proof(token, htu="https://other.test/mcp")), (token, proof(token))
    assert [one.status_code for one in answers(settings_of(issuer), *requests, host="other.test")] == [401, 200]


def test_a_tenants_address_needs_a_proof_for_that_address(issuer) -> None:
    async def statuses() -> list[str]:
        verifier = TokenVerifier(settings_of(issuer), SCOPES)
        token, told = bound(issuer), list[str]()
        for asked, htu in (("acme", "/t/acme"), ("acme", ""), ("acme", "/t/beta"), (None, "/t/acme"), (None, "")):
            try:
                await verifier.verify(token, asked, proof(token, htu=RESOURCE + htu))
                told.append("accepted")
            except TokenRefusedError as error:
                told.append(type(error).__name__)
        await verifier.close()
        return told

    refused = "ProofRefusedError"
    assert asyncio.run(statuses()) == ["accepted", refused, refused, refused, "accepted"]


def test_a_proof_is_good_once(issuer) -> None:
    """R61: also with another token of the same person and key."""
    token = bound(issuer)
    once, again = proof(token), proof(token)
    told = [one.status_code for one in answers(settings_of(issuer), (token, once), (token, once), (token, again))]
    assert told == [200, 401, 200]


def test_two_proofs_in_one_request_are_ambiguous(issuer) -> None:
    """RFC 9449 section 4.3, first check."""
    token = bound(issuer)
    (answer,) = answers(settings_of(issuer), (token, proof(token), proof(token)))
    assert answer.status_code == 400


@pytest.mark.parametrize(
    ("mode", "scheme", "claims", "accepted"),
    [
        ("off", "Bearer", {"cnf": {"jkt": "BOUND"}}, False),
        ("off", "DPoP", {"cnf": {"jkt": "BOUND"}}, False),
        ("off", "DPoP", {}, False),
        ("off", "Bearer", {}, True),
        ("accepted", "Bearer", {"cnf": {"jkt": "BOUND"}}, False),
        ("accepted", "Bearer", {}, True),
        ("accepted", "DPoP", {}, False),
        ("required", "Bearer", {}, False),
        ("required", "Bearer", {"cnf": {"jkt": "BOUND"}}, False),
        ("required", "DPoP", {}, False),
        # Bound in another way, or in one more, that is not checked here.
        ("accepted", "DPoP", {"cnf": {"x5t#S256": "x"}}, False),
        ("accepted", "DPoP", {"cnf": {"jkt": "BOUND", "x5t#S256": "x"}}, False),
        ("accepted", "DPoP", {"cnf": {}}, False),
        ("accepted", "DPoP", {"cnf": "BOUND"}, False),
        ("accepted", "DPoP", {"cnf": {"jkt": ""}}, False),
        ("accepted", "DPoP", {"cnf": {"jkt": ["BOUND"]}}, False),
        ("accepted", "Bearer", {"cnf": "null"}, False),
    ],
)
def test_a_token_is_sent_as_it_is_bound(issuer, mode, scheme, claims, accepted) -> None:
    """R60: a bound token is not a bearer token, even with a proof beside it, and a plain one needs none."""
    text = json.dumps(claims).replace("BOUND", thumbprint(*KEY)).replace('"null"', "null")
    payload = json.dumps({**issuer.valid_claims(), **json.loads(text)}).encode()
    token = signed({"alg": "RS256", "kid": "first"}, payload, issuer.private, "RS256")
    (answer,) = answers(settings_of(issuer, modes=(mode,)), (token, proof(token)), scheme=scheme)
    assert answer.status_code == (200 if accepted else 401)
    if not accepted:
        assert 'error="invalid_token"' in answer.headers["www-authenticate"]


@pytest.mark.parametrize(
    ("modes", "document", "schemes"),
    [
        (("off", "off"), {}, ["Bearer"]),
        (("off", "accepted"), {"dpop_signing_alg_values_supported": list(ALGORITHMS)}, ["Bearer", "DPoP"]),
        (("off", "required"), {"dpop_signing_alg_values_supported": list(ALGORITHMS)}, ["Bearer", "DPoP"]),
        (
            ("required", "required"),
            {"dpop_signing_alg_values_supported": list(ALGORITHMS), "dpop_bound_access_tokens_required": True},
            ["DPoP"],
        ),
    ],
)
def test_the_metadata_and_the_challenge_say_what_is_demanded(issuer, modes, document, schemes) -> None:
    """RFC 9728 section 2, RFC 9449 section 7.1."""
    with Issuer().running() as second:
        settings = settings_of(issuer, second, modes=modes)
        published = ResourceMetadata(settings, SCOPES).document
        assert {name: value for name, value in published.items() if name.startswith("dpop")} == document
        (answer,) = answers(settings, ("",))
    told = f'scope="claims:read", resource_metadata="{METADATA}"'
    expected = [f"{one} {told}" + (f', algs="{ALGS}"' if one == "DPoP" else "") for one in schemes]
    assert answer.headers["www-authenticate"] == ", ".join(expected)


def test_a_clock_of_a_client_that_is_wrong_is_named_in_the_log(issuer) -> None:
    token = bound(issuer)
    for seconds, told in ((-3600, "3600 s behind this server's clock"), (3601, "s ahead of this server's clock")):
        with own_logs() as lines:
            answers(settings_of(issuer), (token, proof(token, iat=int(time.time()) + seconds)))
        assert told.removeprefix("3600 ") in next(line["cause"] for line in lines if line["event"] == "request")


NOW = 1_000_000.0


def used(memory: UsedProofs, person: str, *ids: Any, issued: float = NOW, now: float = NOW) -> list[bool]:
    return [memory.use("https://id.test", person, DpopProof(str(one), issued), now) for one in ids]


def test_a_proof_is_remembered_for_as_long_as_it_could_be_used() -> None:
    memory = UsedProofs()
    assert used(memory, "a", 1, 1, 2) == [True, False, True]
    # Another person may have chosen the same id.
    assert used(memory, "b", 1) == [True]
    assert used(memory, "a", 1, now=NOW + WINDOW_S) == [False]
    used(memory, "c", 1, issued=NOW + 2 * WINDOW_S, now=NOW + 2 * WINDOW_S)
    assert len(memory) == 1


def test_a_person_with_too_many_proofs_fills_their_own_share_and_none_is_used_twice(monkeypatch) -> None:
    monkeypatch.setattr(used_proofs, "MAXIMUM_OWN", 10)
    memory = UsedProofs()
    for second in range(30):
        assert used(memory, "greedy", second, issued=NOW + second, now=NOW + 29) == [True]
    assert len(memory) == 10
    assert not any(used(memory, "greedy", second, issued=NOW + second, now=NOW + 29)[0] for second in range(30))
    assert used(memory, "other", *range(10), now=NOW + 29) == [True] * 10


def test_memory_is_bounded_and_no_proof_is_used_twice_for_it(monkeypatch) -> None:
    monkeypatch.setattr(used_proofs, "MAXIMUM_PROOFS", 100)
    memory = UsedProofs()
    for second in range(50):
        for number in range(10):
            person = f"{second}-{number}"
            assert used(memory, person, second, issued=NOW + second, now=NOW + second) == [True]
            assert len(memory) <= 100
            assert len(memory._people) <= 100
    for second in range(50):
        assert used(memory, f"{second}-1", second, issued=NOW + second, now=NOW + 49) == [False]


def test_a_full_memory_takes_at_most_24_mb() -> None:
    import tracemalloc

    share = 64
    tracemalloc.start()
    memory = UsedProofs()
    for number in range(used_proofs.MAXIMUM_PROOFS // share):
        used(memory, f"person-{number}", "only")
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held * share < 24_000_000
