"""A trail that is signed by a key in AWS KMS, asked over the wire by genuine boto3.

The requirement R234.
"""

import json
import secrets
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.audit import breaks, fill, forge
from support.kms_stand_in import ARN, Kms, kms_stand_in
from typer.testing import CliRunner

from server.__main__ import cli
from server.audit import kms as kms_module
from server.audit.configured import configured_key, configured_public_keys, configured_trail
from server.audit.delegation import borrowed_key, delegated
from server.audit.extract import extract
from server.audit.extract_check import check_extract
from server.audit.keys import SigningKey, public_keys, public_text_of
from server.audit.kms import LENT_S, KmsKey
from server.errors import AuditError, StartupError
from server.settings import AuditSettings


@pytest.fixture(scope="module")
def running() -> Generator[Kms]:
    """One for all: genuine boto3 takes long to make a client."""
    kms_module._client.cache_clear()
    with kms_stand_in() as kms, pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "of-a-test")
        patch.setenv("AWS_ENDPOINT_URL_KMS", kms.url)
        yield kms
        kms_module._client("eu-central-1").close()
    kms_module._client.cache_clear()


@pytest.fixture(autouse=True)
def kms(running: Kms) -> Kms:
    running.refuses_with, running.other_kind, running.random, running.signed = None, False, False, 0
    return running


def settings(path: Path | None = None, **more: Any) -> AuditSettings:
    return AuditSettings.model_validate({"path": path, "signing_key": f"kms:{ARN}", **more})


def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError


def test_a_trail_that_kms_signed_verifies_with_its_public_key_and_a_forged_one_does_not(kms: Kms, tmp_path) -> None:
    """R234."""
    path = tmp_path / "audit.jsonl"
    trail = configured_trail(settings(path, checkpoint_records=5))
    assert trail is not None
    asked = kms.signed
    fill(trail, 23)
    trail.rotate()
    fill(trail, 3)
    trail.close()
    # No request waits for KMS: what it lent at the start signs every checkpoint.
    assert kms.signed == asked
    known = public_keys([public_text_of(kms.private.public_key())])
    assert breaks(path, known) == []
    assert breaks(path, configured_public_keys(settings())) == []
    other = public_keys([SigningKey(bytes(32)).public_text()])
    assert [kind for _, _, kind in breaks(path, other)] == ["forged"]

    def another_subject(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [one | ({"subject": "x"} if "subject" in one else {}) for one in records]

    forge(path, another_subject)
    assert [kind for _, _, kind in breaks(path, known)] == ["forged"]


def test_a_tenants_extract_is_verified_with_the_public_key_of_kms_alone(kms: Kms, tmp_path) -> None:
    path = tmp_path / "audit.jsonl"
    for _ in range(2):
        trail = configured_trail(settings(path, checkpoint_records=4))
        assert trail is not None
        fill(trail, 6)
        fill(trail, 3, "other")
        trail.close()
    key = configured_key(settings())
    assert key is not None
    lines = list(extract(path, key, "acme"))
    known = public_keys([public_text_of(kms.private.public_key())])
    assert check_extract(lines, known).records == 12
    with pytest.raises(StartupError, match="belongs to an unknown key"):
        check_extract(lines, public_keys([SigningKey(bytes(32)).public_text()]))
    first = json.loads(lines[0])
    changed = first | {"grant": first["grant"][:-2] + ("00" if first["grant"][-2:] != "00" else "11")}
    with pytest.raises(StartupError, match="belongs to an unknown key"):
        check_extract([json.dumps(changed) + "\n", *lines[1:]], known)


def test_an_authorized_key_signs_checkpoints_of_its_time_only(kms: Kms) -> None:
    """R234: a key that leaks from a process's memory is good for its hour, and lends nothing itself."""
    public, own = kms.private.public_key(), SigningKey(secrets.token_bytes(32))
    lent = delegated(own, "kid", 1_000, 2_000, kms.private.sign)
    assert public_text_of(borrowed_key(lent.statement, public, 1_500)) == own.public_text()
    for moment in (999.9, 2_000.1):
        with pytest.raises(ValueError, match="another time"):
            borrowed_key(lent.statement, public, moment)
    again = delegated(SigningKey(bytes(32)), "kid", 1_000, 9_000, own.private.sign)
    for text in (again.statement, lent.statement[:-4] + "AAAA", "", None, "a.b.c"):
        with pytest.raises(ValueError, match="checkpoint's key"):
            borrowed_key(text, public, 1_500)


def test_while_kms_does_not_answer_service_goes_on_until_the_hour_is_over_and_again_when_it_answers(
    kms: Kms, tmp_path
) -> None:
    began = int(time.time())
    trail = configured_trail(settings(tmp_path / "audit.jsonl", checkpoint_records=1))
    assert trail is not None
    key = trail._signing._key  # type: ignore[union-attr]
    assert isinstance(key, KmsKey)
    lent = key._now
    assert began + LENT_S <= lent.until <= time.time() + LENT_S
    kms.refuses_with = "KMSInternalException"
    asked = kms.signed
    key._renew_at = 0
    fill(trail, 2)
    until(lambda: key._renewing is None and key._renew_at > 0)
    assert kms.signed == asked
    fill(trail, 2)
    assert key._now is lent
    key._now = replace(lent, until=0)
    with pytest.raises(AuditError):
        fill(trail, 2)
    assert trail.problem == "AWS KMS has not answered for an hour, so checkpoints cannot be signed"
    kms.refuses_with = None
    key._renew_at = 0
    with suppress(AuditError):
        trail.tick()
    until(lambda: key._renewing is None and kms.signed > asked)
    trail.tick()
    fill(trail, 2)
    trail.close()
    assert breaks(tmp_path / "audit.jsonl", configured_public_keys(settings())) == []


WRONG: dict[str, tuple[Callable[[Kms], Any], str]] = {
    "not allowed": (
        lambda kms: setattr(kms, "refuses_with", "AccessDeniedException"),
        r"\(AccessDeniedException\); allow kms:Sign and kms:GetPublicKey on it",
    ),
    "disabled": (
        lambda kms: setattr(kms, "refuses_with", "DisabledException"),
        r"\(DisabledException\); name an enabled",
    ),
    "of another kind": (lambda kms: setattr(kms, "other_kind", True), "is not an Ed25519 key; create one of ECC_NIST"),
    "another signature each time": (lambda kms: setattr(kms, "random", True), "signs the same text in two ways"),
}


@pytest.mark.parametrize(("wrong", "said"), WRONG.values(), ids=WRONG.keys())
def test_a_key_that_cannot_sign_is_one_line_at_the_start_that_names_it(kms: Kms, wrong, said) -> None:
    wrong(kms)
    with pytest.raises(StartupError, match=said) as refused:
        configured_key(settings())
    text = str(refused.value)
    assert text.startswith(f"audit.signing_key: {ARN} ")
    assert "words of KMS" not in text


@pytest.mark.parametrize("text", ["kms:", "kms:alias/audit", "kms:" + ARN.replace(":key/", ":alias/"), f"kms:{ARN} "])
def test_only_the_arn_of_a_key_is_taken(text) -> None:
    with pytest.raises(ValueError, match="must name a key of KMS by its ARN"):
        AuditSettings.model_validate({"signing_key": text})


def test_audit_keys_prints_the_public_key_and_needs_no_right_to_sign(kms: Kms, tmp_path) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(f'[audit]\nsigning_key = "kms:{ARN}"\n')
    # It is a name and no secret.
    config.chmod(0o644)
    verb = ["audit", "keys", "--public", "--config", str(config)]
    said = CliRunner(env={"TENANTGATE_CONFIG": None}).invoke(cli, verb).stdout
    assert said == public_text_of(kms.private.public_key()) + "\n"
    assert kms.signed == 0
