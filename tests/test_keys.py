"""Key sets when their issuer misbehaves, rotates or is down: over HTTP, with signatures, on a running event loop."""

import asyncio
import gzip
import json
import time
from collections.abc import Awaitable, Callable, Generator
from types import SimpleNamespace
from typing import Any

import pytest
from support.issuer import Answer, Issuer, answer, private_jwk, private_key, public_jwk, slow
from support.timed import timed

from server.auth import keys as key_sets
from server.auth.verifier import TokenVerifier
from server.database.context_keys import new_context_key
from server.dev.preparation import development_settings
from server.errors import IssuerUnavailableError, KeyNotYetKnownError, TokenRefusedError
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


class Clock:
    """The clock by which a key set grows old; it goes when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed_s = 0.0
        begun = time.monotonic()
        monkeypatch.setattr(key_sets, "time", SimpleNamespace(monotonic=lambda: begun + self.passed_s))


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
    except KeyNotYetKnownError:
        return "not yet"
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
def test_a_missing_discovery_document_is_named_with_the_setting_to_use(issuer, status, capsys) -> None:
    async def story(verifier: TokenVerifier) -> None:
        issuer.answers["/.well-known/openid-configuration"] = answer(
            b"{}", status, location=f"{issuer.url}/elsewhere.json"
        )
        assert await outcome(verifier, issuer.token()) == "unavailable"

    tell(story, issuer)
    told = capsys.readouterr().out
    assert f"status {status}; correct `issuer` or set `jwks_url`; asked: {issuer.url}/.well-known" in told


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/jwks.json"])
@pytest.mark.parametrize("fault", ["an HTML page", "a redirect", "an error", "nothing", "nobody listens"])
def test_a_fetch_that_failed_is_logged_with_its_url(issuer, path, fault, capsys) -> None:
    """Whatever went wrong, an operator sees which of the two documents it was."""
    url = "http://127.0.0.1:1/jwks.json" if fault == "nobody listens" else f"{issuer.url}{path}"

    async def story(verifier: TokenVerifier) -> None:
        if fault == "nobody listens":
            nowhere = json.dumps({"issuer": issuer.url, "jwks_uri": url}).encode()
            issuer.answers["/.well-known/openid-configuration"] = answer(nowhere)
        else:
            issuer.answers[path] = BAD_SETS[fault]()
        assert await outcome(verifier, issuer.token()) == "unavailable"

    tell(story, issuer)
    assert f"url={url}" in capsys.readouterr().out


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
    """Each time that it is looked for in vain, it is left alone for twice as long."""
    monkeypatch.setattr(key_sets, "COOLDOWN_S", 0.0)
    clock = Clock(monkeypatch)

    async def story(verifier: TokenVerifier) -> None:
        asked_at: list[float] = []
        for _ in range(100):
            fetches = issuer.key_set_fetches
            told = await outcome(verifier, issuer.token(header={"kid": "of another environment"}))
            asked = issuer.key_set_fetches > fetches
            assert told == ("refused" if asked else "not yet")
            asked_at += [clock.passed_s] if asked else []
            clock.passed_s += 1
        assert asked_at == [0, 5, 15, 35, 65, 95]
        assert await outcome(verifier, issuer.token(header={"kid": "another"})) == "refused"

    tell(story, issuer)


@pytest.mark.parametrize("asked_before", ["the same id", "another id", "several ids"])
def test_a_key_that_is_asked_for_before_it_is_published_is_not_yet_known_and_soon_accepted(
    issuer, asked_before, monkeypatch
) -> None:
    """A 401 would send everybody to a new sign-in, which gives another token of the same key."""
    clock = Clock(monkeypatch)
    early = {"the same id": ["next"], "another id": ["other"], "several ids": ["other", "next", "third"]}[asked_before]

    async def story(verifier: TokenVerifier) -> None:
        for key_id in early:
            await outcome(verifier, issuer.token(header={"kid": key_id}, private=private_key("RSA", "third")))
        second = private_key("RSA", "second")
        issuer.jwks.append(public_jwk(second, "next"))
        genuine = issuer.token(header={"kid": "next"}, private=second)
        waited_s = 0
        while (told := await outcome(verifier, genuine)) == "not yet":
            with pytest.raises(KeyNotYetKnownError) as caught:
                await verifier.verify(genuine)
            waited_s += caught.value.retry_after_s
            clock.passed_s += caught.value.retry_after_s
        assert (told, waited_s) == ("accepted", 5)
        assert issuer.key_set_fetches == 2

    tell(story, issuer)


def test_a_key_without_an_id_that_is_replaced_is_found_by_its_signatures(issuer, monkeypatch) -> None:
    clock = Clock(monkeypatch)
    issuer.jwks = [public_jwk(issuer.private, "", kid=None)]

    async def story(verifier: TokenVerifier) -> None:
        assert await outcome(verifier, issuer.token(header={"kid": None})) == "accepted"
        second = private_key("RSA", "second")
        issuer.jwks = [public_jwk(second, "", kid=None)]
        new = issuer.token(header={"kid": None}, private=second)
        assert await outcome(verifier, new) == "not yet"
        clock.passed_s += 5
        assert await outcome(verifier, new) == "accepted"
        assert await outcome(verifier, issuer.token(header={"kid": None}, jti="old")) == "not yet"
        clock.passed_s += 5
        assert await outcome(verifier, issuer.token(header={"kid": None}, jti="old")) == "refused"
        assert issuer.key_set_fetches == 3

    tell(story, issuer)


def test_keys_that_did_not_change_leave_what_was_verified_with_them(issuer, monkeypatch) -> None:
    """A flood of unknown key ids must not have every token verified again."""
    monkeypatch.setattr(key_sets, "COOLDOWN_S", 0.0)

    async def story(verifier: TokenVerifier) -> None:
        token = issuer.token()
        await verifier.verify(token)
        (remembered,) = (kept[0] for kept in verifier._remembered._kept.values())
        for number in range(3):
            assert await outcome(verifier, issuer.token(header={"kid": f"unknown-{number}"})) == "refused"
        assert remembered.holds
        issuer.jwks.append(public_jwk(private_key("RSA", "second"), "second"))
        await outcome(verifier, issuer.token(header={"kid": "unknown"}))
        assert issuer.key_set_fetches == 5
        assert not remembered.holds

    tell(story, issuer)


def test_a_token_without_a_key_id_causes_no_fetch_where_several_keys_have_one(issuer, monkeypatch) -> None:
    """R42."""
    monkeypatch.setattr(key_sets, "COOLDOWN_S", 0.0)
    issuer.jwks.append(odd())

    async def story(verifier: TokenVerifier) -> None:
        await verifier.verify(issuer.token())
        for _ in range(3):
            assert await outcome(verifier, issuer.token(header={"kid": None})) == "refused"
        assert issuer.key_set_fetches == 1

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
            while await outcome(verifier, remembered) == "accepted":  # noqa: ASYNC110  # the fetch runs behind
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
    "an id of no letter": lambda: [odd(kid="")],
    "without an algorithm beside one with": lambda: [odd(), odd("RSA", "third", alg="RS256")],
    "a private key beside its public one": lambda: [odd(), private_jwk(private_key("RSA", "third"), "odd")],
    "a type that is no text": lambda: [odd(kty=["RSA"])],
    "no object": lambda: ["odd"],
}


UNKNOWN = {"no id", "an id that is no text", "an id of no letter", "no object"}


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
            # An id that is not in the set might be in the next one; a key that may not verify is refused at once.
            assert await outcome(verifier, token) in ({"refused", "not yet"} if case in UNKNOWN else {"refused"})

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
