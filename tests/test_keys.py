"""Key sets when their issuer misbehaves, rotates or is down: over HTTP, with signatures, on a running event loop."""

import asyncio
import gzip
import json
import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import pytest
from issuer_support import Answer, Issuer, answer, private_jwk, private_key, public_jwk, slow
from timed import timed

from server.auth import keys as key_sets
from server.auth.verifier import TokenVerifier
from server.database.context_keys import new_context_key
from server.dev.preparation import development_settings
from server.errors import IssuerUnavailableError, TokenRefusedError
from server.settings import Settings

RESOURCE = "https://mcp.example.com/mcp"
LONGEST_BLOCK_S = 0.05
Story = Callable[[TokenVerifier], Awaitable[None]]


def foreign_set(copies: int = 1) -> bytes:
    """Return a key set with which whoever accepts it would accept the tokens of a stranger."""
    others = [public_jwk(private_key("EC", "curve"), str(number)) for number in range(copies - 1)]
    return json.dumps({"keys": [public_jwk(private_key("RSA", "second"), "first"), *others]}).encode()


BAD_SETS: dict[str, Callable[[], Answer]] = {
    "an HTML page": lambda: answer(b"<html><body>Sign in</body></html>", kind="text/html"),
    "10 MB": lambda: answer(foreign_set() + b" " * 10_000_000),
    "10 MB in 10 KB of gzip": lambda: answer(gzip.compress(foreign_set() + b" " * 10_000_000), content_encoding="gzip"),
    "a redirect": lambda: answer(foreign_set(), status=302, location="/elsewhere.json"),
    "nothing": lambda: answer(b""),
    "no keys": lambda: answer(b'{"keys": []}'),
    "keys that are no list": lambda: answer(b'{"keys": {"kid": "first"}}'),
    "a list": lambda: answer(b"[]"),
    "an error": lambda: answer(foreign_set(), status=500),
    "deep nesting": lambda: answer(b'{"keys": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "a huge number": lambda: answer(b'{"keys": [{"n": ' + b"9" * 100_000 + b"}]}"),
    "a hundred keys": lambda: answer(foreign_set(100)),
    "an RSA key of a megabit": lambda: answer(
        json.dumps({"keys": [{"kty": "RSA", "kid": "first", "e": "AQAB", "n": "x" * 120_000}]}).encode()
    ),
    "symmetric keys alone": lambda: answer(
        b'{"keys": [{"kty": "oct", "kid": "first", "k": "c2VjcmV0c2VjcmV0c2VjcmV0"}]}'
    ),
    "a slow answer": lambda: slow(5),
}


@pytest.fixture
def issuer() -> Generator[Issuer]:
    with Issuer(aud=RESOURCE, token_use="access").running() as running:
        yield running


def settings_for(*issuers: Issuer) -> Settings:
    nowhere = "postgresql://nobody@127.0.0.1:1/none"
    settings = development_settings(RESOURCE, issuers[0].url, nowhere, new_context_key("k"))
    accepted = [settings.issuers[0].model_copy(update={"issuer": issuer.url}) for issuer in issuers]
    return settings.model_copy(update={"issuers": tuple(accepted)})


def tell(story: Story, *issuers: Issuer) -> None:
    """Run `story` with a verifier of these issuers, on an event loop of its own."""

    async def told() -> None:
        verifier = TokenVerifier(settings_for(*issuers), ("claims:read", "policies:read"))
        try:
            await story(verifier)
        finally:
            await verifier.close()

    asyncio.run(told())


async def outcome(verifier: TokenVerifier, token: str) -> str:
    try:
        await verifier.verify(token)
    except TokenRefusedError:
        return "refused"
    except IssuerUnavailableError:
        return "unavailable"
    return "accepted"


async def longest_block_s(act: Callable[[], Awaitable[object]]) -> float:
    """Return the longest time for which the event loop ran nothing else during `act`."""
    longest_s, pause_s = 0.0, 0.001

    async def watch() -> None:
        nonlocal longest_s
        while True:
            before = time.perf_counter()
            await asyncio.sleep(pause_s)
            longest_s = max(longest_s, time.perf_counter() - before - pause_s)

    watcher = asyncio.create_task(watch())
    await act()
    watcher.cancel()
    await asyncio.wait([watcher])
    return longest_s


@pytest.mark.parametrize("fault", [*BAD_SETS, "nobody listens"])
def test_a_bad_key_set_keeps_the_last_good_one_alarms_and_blocks_nothing(issuer, fault, monkeypatch, capsys) -> None:
    monkeypatch.setattr(key_sets, "COOLDOWN_S", 0.0)
    monkeypatch.setattr(key_sets, "FETCH_TIMEOUT_S", 0.3)

    async def story(verifier: TokenVerifier) -> None:
        await verifier.verify(issuer.token())
        if fault == "nobody listens":
            issuer.stop()
        else:
            issuer.answers["/jwks.json"] = BAD_SETS[fault]()

        async def unknown_key() -> None:
            assert await outcome(verifier, issuer.token(header={"kid": "unknown"})) == "unavailable"

        # What blocks does so each time; a machine with other work delays some of them.
        blocks_s: list[float] = []
        while not blocks_s or (blocks_s[-1] >= LONGEST_BLOCK_S and len(blocks_s) < 10):
            blocks_s.append(await longest_block_s(unknown_key))
        assert blocks_s[-1] < LONGEST_BLOCK_S, blocks_s
        assert await outcome(verifier, issuer.token(jti="not seen before")) == "accepted"
        forged = issuer.token(private=private_key("RSA", "second"))
        assert await outcome(verifier, forged) == "refused"
        assert "/elsewhere.json" not in issuer.fetched

    tell(story, issuer)
    assert "key set not fetched; the last good one is kept" in capsys.readouterr().out


@pytest.mark.parametrize("status", [301, 404])
def test_a_discovery_document_that_is_not_there_is_named_with_what_to_set(issuer, status, capsys) -> None:
    async def story(verifier: TokenVerifier) -> None:
        issuer.answers["/.well-known/openid-configuration"] = answer(
            b"{}", status, location=f"{issuer.url}/elsewhere.json"
        )
        assert await outcome(verifier, issuer.token()) == "unavailable"

    tell(story, issuer)
    told = capsys.readouterr().out
    assert f"status {status}; correct `issuer` or set `jwks_url`; asked: {issuer.url}/.well-known" in told


@pytest.mark.parametrize("fault", ["an HTML page", "nothing", "symmetric keys alone"])
def test_without_any_good_set_a_token_can_be_neither_accepted_nor_refused(issuer, fault) -> None:
    async def story(verifier: TokenVerifier) -> None:
        issuer.answers["/jwks.json"] = BAD_SETS[fault]()
        assert [await outcome(verifier, issuer.token()) for _ in range(3)] == ["unavailable"] * 3
        assert issuer.key_set_fetches == 1

    tell(story, issuer)


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://elsewhere.example", "jwks_uri": "OWN/jwks.json"},
        {"issuer": "OWN", "jwks_uri": "http://169.254.169.254/jwks.json"},
        {"issuer": "OWN", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "OWN", "jwks_uri": "https://[bad"},
        {"issuer": "OWN", "jwks_uri": 7},
        {"issuer": "OWN"},
    ],
)
def test_a_discovery_document_cannot_send_the_server_elsewhere(issuer, document) -> None:
    """R34."""
    text = json.dumps(document).replace("OWN", issuer.url)
    issuer.answers["/.well-known/openid-configuration"] = answer(text.encode())

    async def story(verifier: TokenVerifier) -> None:
        assert await outcome(verifier, issuer.token()) == "unavailable"
        assert issuer.key_set_fetches == 0

    tell(story, issuer)


@timed
def test_a_slow_issuer_costs_at_most_three_seconds_and_the_others_nothing(issuer) -> None:
    with Issuer(aud=RESOURCE, token_use="access").running() as other:

        async def story(verifier: TokenVerifier) -> None:
            issuer.answers["/jwks.json"] = slow(5)
            started = time.perf_counter()
            waiting = asyncio.create_task(outcome(verifier, issuer.token()))
            assert await outcome(verifier, other.token()) == "accepted"
            assert time.perf_counter() - started < 1
            assert await waiting == "unavailable"
            assert time.perf_counter() - started < 3.5

        tell(story, issuer, other)


def test_a_new_key_is_accepted_at_once_and_fetched_once(issuer, monkeypatch) -> None:
    # However long the fetch takes, whoever waited for it does not ask again.
    monkeypatch.setattr(key_sets, "COOLDOWN_S", 0.0)

    async def story(verifier: TokenVerifier) -> None:
        await verifier.verify(issuer.token())
        second = private_key("RSA", "second")
        issuer.jwks = [public_jwk(second, "second"), *issuer.jwks]
        tokens = [issuer.token(header={"kid": "second"}, private=second, jti=str(n)) for n in range(20)]
        assert await asyncio.gather(*(outcome(verifier, token) for token in tokens)) == ["accepted"] * 20
        assert issuer.key_set_fetches == 2

    tell(story, issuer)


def test_a_flood_of_unknown_key_ids_causes_one_fetch(issuer) -> None:
    """R42."""

    async def story(verifier: TokenVerifier) -> None:
        flood = [issuer.token(header={"kid": f"unknown-{n}"}) for n in range(60)]
        assert set(await asyncio.gather(*(outcome(verifier, token) for token in flood))) == {"refused"}
        assert issuer.key_set_fetches == 1
        assert await outcome(verifier, issuer.token()) == "accepted"
        assert issuer.key_set_fetches == 1

    tell(story, issuer)


def test_a_key_id_that_is_known_to_be_absent_does_not_use_up_the_cooldown(issuer, monkeypatch) -> None:
    monkeypatch.setattr(key_sets, "COOLDOWN_S", 0.05)

    async def story(verifier: TokenVerifier) -> None:
        for _ in range(4):
            assert await outcome(verifier, issuer.token(header={"kid": "of another environment"})) == "refused"
            await asyncio.sleep(0.06)
        assert issuer.key_set_fetches == 1
        monkeypatch.setattr(key_sets, "ABSENT_S", 0.0)
        assert await outcome(verifier, issuer.token(header={"kid": "another"})) == "refused"
        assert issuer.key_set_fetches == 2

    tell(story, issuer)


def test_keys_are_believed_without_their_endpoint_until_the_maximum_age_and_no_longer(issuer, monkeypatch) -> None:
    monkeypatch.setattr(key_sets, "COOLDOWN_S", 0.0)
    monkeypatch.setattr(key_sets, "REFRESH_AFTER_S", 0.0)

    async def story(verifier: TokenVerifier) -> None:
        await verifier.verify(issuer.token())
        issuer.answers["/jwks.json"] = answer(b"", status=503)
        monkeypatch.setattr(key_sets, "STALE_AFTER_S", 0.0)
        assert await outcome(verifier, issuer.token(jti="stale")) == "accepted"
        monkeypatch.setattr(key_sets, "MAXIMUM_AGE_S", 0.0)
        assert await outcome(verifier, issuer.token(jti="too old")) == "unavailable"

    tell(story, issuer)


@pytest.mark.parametrize("stale", [True, False])
def test_a_removed_key_is_refused_once_the_set_was_fetched_again(issuer, monkeypatch, stale) -> None:
    """R62: the set is fetched behind a request when it is old, and before the answer when it is stale."""
    monkeypatch.setattr(key_sets, "COOLDOWN_S", 0.0)

    async def story(verifier: TokenVerifier) -> None:
        remembered = issuer.token()
        await verifier.verify(remembered)
        issuer.jwks = [public_jwk(private_key("RSA", "second"), "second")]
        assert await outcome(verifier, issuer.token(jti="not old yet")) == "accepted"
        monkeypatch.setattr(key_sets, "STALE_AFTER_S" if stale else "REFRESH_AFTER_S", 0.0)
        assert await outcome(verifier, issuer.token(jti="now")) == ("refused" if stale else "accepted")
        async with asyncio.timeout(3):
            while await outcome(verifier, remembered) != "refused":  # noqa: ASYNC110  # the fetch runs behind
                await asyncio.sleep(0.01)

    tell(story, issuer)


def odd(kind: str = "RSA", name: str = "second", **members: Any) -> dict[str, Any]:
    return public_jwk(private_key(kind, name), "odd", **members)


UNUSABLE: dict[str, Callable[[], list[Any]]] = {
    "for encryption": lambda: [odd(use="enc")],
    "that may sign only": lambda: [odd(use=None, key_ops=["sign"])],
    "operations that are no list": lambda: [odd(use=None, key_ops="verify")],
    "for another algorithm": lambda: [odd(alg="PS256")],
    "for an unknown algorithm": lambda: [odd(alg="RSA-OAEP")],
    "a private key": lambda: [private_jwk(private_key("RSA", "second"), "odd")],
    "exponent one": lambda: [odd(e="AQ")],
    "RSA of 1024 bits": lambda: [odd("RSA-1024", "weak")],
    "two under one id": lambda: [odd(), odd("RSA", "third")],
    "the same key twice": lambda: [odd(), odd()],
    "an id that a symmetric key has too": lambda: [odd(), {"kty": "oct", "kid": "odd", "k": "c2VjcmV0"}],
    "no id": lambda: [odd(kid=None)],
    "an id that is no text": lambda: [odd(kid=7)],
    "another curve's name": lambda: [odd("EC", "curve", crv="P-384")],
    "a point off the curve": lambda: [odd("EC", "curve", y=odd("EC", "curve")["x"])],
    "a type that is no text": lambda: [odd(kty=["RSA"])],
    "no object": lambda: ["odd"],
}


@pytest.mark.parametrize("case", list(UNUSABLE))
def test_an_unusable_key_is_left_out_and_the_others_serve(issuer, case) -> None:
    """R43: what the key would have verified is refused, though its signature is right."""
    issuer.jwks += UNUSABLE[case]()

    async def story(verifier: TokenVerifier) -> None:
        assert await outcome(verifier, issuer.token()) == "accepted"
        for private, algorithm in (
            (private_key("RSA", "second"), "RS256"),
            (private_key("RSA-1024", "weak"), "RS256"),
            (private_key("EC", "curve"), "ES256"),
        ):
            token = issuer.token(header={"kid": "odd", "alg": algorithm}, private=private)
            assert await outcome(verifier, token) == "refused"

    tell(story, issuer)


def test_a_sound_key_of_each_accepted_kind_serves(issuer) -> None:
    ec = private_key("EC", "ec")
    issuer.jwks.append(public_jwk(ec, "curve", alg=None, use=None))

    async def story(verifier: TokenVerifier) -> None:
        token = issuer.token(header={"kid": "curve", "alg": "ES256"}, private=ec)
        assert await outcome(verifier, token) == "accepted"
        # The configured algorithms decide, whatever the key could do (R39).
        token = issuer.token(header={"kid": "first", "alg": "PS256"})
        assert await outcome(verifier, token) == "refused"

    tell(story, issuer)
