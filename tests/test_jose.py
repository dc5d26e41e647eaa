"""Project Wycheproof's vectors against what accepts a signature, key rules included, before any claim is read."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.issuer import private_key, public_jwk

from server.auth.jose import parse_signature, verify_signature
from server.auth.public_key import PublicKey
from server.errors import TokenRefusedError

VECTORS = Path(__file__).parents[1].parent / "shared" / "vectors" / "wycheproof"
FILES = ["json_web_signature_test", "json_web_key_test", "json_web_crypto_test", "json_web_encryption_test"]
SUPPORTED = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}


def vectors(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    file = VECTORS / f"{name}.json"
    if not file.is_file():
        pytest.skip(f"the vectors are not at {VECTORS}")
    for group in json.loads(file.read_text(encoding="utf-8"))["testGroups"]:
        for test in group["tests"]:
            yield group, test


def keys_of(group: dict[str, Any]) -> dict[str | None, PublicKey]:
    published = group.get("public", group["private"])
    found = [PublicKey.from_jwk(jwk) for jwk in published.get("keys", [published])]
    return {key.key_id: key for key in found if key is not None}


def is_accepted(group: dict[str, Any], text: Any) -> bool:
    try:
        token = parse_signature(text if isinstance(text, str) else json.dumps(text))
        key = keys_of(group).get(token.key_id)
        if key is None:
            return False
        verify_signature(token, key)
    except TokenRefusedError:
        return False
    return True


@pytest.mark.parametrize("name", FILES)
def test_no_invalid_vector_is_accepted(name) -> None:
    """R36, R38, R39, R43, R57, R58."""
    refused = 0
    for group, test in vectors(name):
        if test["result"] != "valid":
            assert not is_accepted(group, test.get("jws", test.get("jwe"))), (group["comment"], test["comment"])
            refused += 1
    assert refused >= 20


@pytest.mark.parametrize("name", FILES)
def test_every_valid_vector_is_accepted_unless_a_stricter_rule_is_named(name) -> None:
    for group, test in vectors(name):
        if test["result"] == "valid":
            reason = stricter_rule(group, test)
            accepted = is_accepted(group, test.get("jws", test.get("jwe")))
            assert accepted == (reason is None), (group["comment"], test["comment"], reason)


def stricter_rule(group: dict[str, Any], test: dict[str, Any]) -> str | None:
    """Return why this server refuses what the specifications would let through, or None."""
    published = group.get("public", group["private"])
    key = published.get("keys", [published])[0]
    if "jwe" in test:
        return "encrypted tokens are not accepted"
    if key["kty"] == "oct":
        return "whoever verifies with a symmetric key could also sign"
    if key.get("alg") not in {None, *SUPPORTED}:
        return "the key names an algorithm that does not exist (ES521)"
    if test["comment"] == "emptyPayload":
        return "no claims"
    if test["comment"] == "Figure20":
        return "the key is for PS256, the header says PS384"
    return None


@pytest.mark.parametrize("published", ["EdDSA", "Ed25519", None])
@pytest.mark.parametrize("named", ["EdDSA", "Ed25519"])
def test_an_ed25519_key_verifies_under_both_names_of_its_algorithm_unless_it_has_one(published, named) -> None:
    """RFC 9864 names the curve where RFC 8037 named the family; R39: a key that names one serves that one alone."""
    private = private_key("OKP", "curve")
    key = PublicKey.from_jwk(public_jwk(private, "curve", alg=published))
    assert key is not None
    assert key.verifies(named, b"message", private.sign(b"message")) == (published in {None, named})
    assert not key.verifies(named, b"another", private.sign(b"message"))
    assert not key.verifies("ES256", b"message", private.sign(b"message"))
