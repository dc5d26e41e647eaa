"""A tenant's extract: it is verified alone, holds all of the tenant's records, and nothing of anybody else."""

import json
import random
from pathlib import Path

import pytest
from support.audit import KEY, PUBLIC, fill, signed_trail

from server.audit.extract import extract
from server.audit.extract_check import check_extract
from server.audit.keys import SigningKey, public_keys
from server.errors import StartupError

RANDOM = random.Random(11)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two workers, two processes one after the other, rotated files, tenants of different sizes."""
    path = tmp_path_factory.mktemp("trail") / "audit.jsonl"
    first, second = (signed_trail(path, checkpoint_records=7, rotate_bytes=9_000) for _ in range(2))
    for trail, count in ((first, 40), (second, 9)):
        for number in range(count):
            trail.append({"tenant": ("acme", "globex", "initech")[number % 3], "subject": f"canary-{number}"})
            trail.append({"refused": "no bearer token"})
    first.close()
    again = signed_trail(path, checkpoint_records=7)
    fill(again, 5, "acme")
    fill(again, 1, "late")
    again.close()
    second.close()
    return path


def made(path: Path, tenant: str = "acme") -> list[str]:
    return list(extract(path, KEY, tenant))


@pytest.mark.parametrize(("tenant", "count"), [("acme", 14 + 3 + 5), ("globex", 13 + 3), ("late", 1), ("nobody", 0)])
def test_an_extract_has_every_record_of_its_tenant_and_proves_it(path, tenant, count) -> None:
    checked = check_extract(made(path, tenant), PUBLIC)
    assert (checked.tenant, checked.records) == (tenant, count)
    assert {name: first for name, (first, _) in checked.reached.items()} == {"audit.jsonl": 1, "audit.1.jsonl": 1}


def test_an_extract_says_nothing_of_other_tenants(path) -> None:
    text = "".join(made(path, "globex"))
    records = [json.loads(one["line"]) for line in made(path, "globex") for one in json.loads(line).get("records", ())]
    assert {one["tenant"] for one in records} == {"globex"}
    for name in ("acme", "initech", "late", "no bearer token"):
        assert name not in text


def _failing(lines: list[str]) -> str:
    with pytest.raises(StartupError, match="does not verify") as raised:
        check_extract(lines, PUBLIC)
    return str(raised.value)


def test_an_extract_fails_after_one_changed_bit(path) -> None:
    whole = "".join(made(path)).encode()
    for place in RANDOM.sample(range(len(whole) * 8), 400):
        changed = bytearray(whole)
        changed[place // 8] ^= 1 << place % 8
        _failing(changed.decode("utf-8", "replace").splitlines(keepends=True))


def test_an_extract_fails_without_any_one_of_its_lines(path) -> None:
    lines = made(path)
    for place in range(len(lines)):
        _failing(lines[:place] + lines[place + 1 :])


def test_an_extract_fails_without_any_one_of_its_records(path) -> None:
    lines = made(path)
    for place, line in enumerate(lines):
        item = json.loads(line)
        for at in range(len(item.get("records", ()))):
            fewer = item | {"records": item["records"][:at] + item["records"][at + 1 :]}
            assert "are signed" in _failing([*lines[:place], json.dumps(fewer) + "\n", *lines[place + 1 :]])


def test_an_extract_fails_with_a_smaller_number_of_records(path) -> None:
    lines = made(path)
    for place, line in enumerate(lines):
        item = json.loads(line)
        if item.get("count"):
            assert "signed" in _failing([*lines[:place], json.dumps(item | {"count": 0}) + "\n", *lines[place + 1 :]])


def test_the_proof_that_there_is_nothing_is_not_good_for_another_tenant(path) -> None:
    """With the secret of somebody who has no records, all of a tenant's records could be hidden."""
    header, *rest = made(path, "nobody")
    renamed = json.dumps(json.loads(header) | {"tenant": "acme"}) + "\n"
    assert "secret" in _failing([renamed, *rest])
    assert "signed" in _failing([made(path)[0], *rest])


def test_an_extract_of_another_server_fails(path) -> None:
    with pytest.raises(StartupError, match="belongs to an unknown key"):
        check_extract(made(path), public_keys([SigningKey(bytes(32)).public_text()]))


def test_a_trail_that_does_not_verify_gives_no_extract(path, tmp_path) -> None:
    copy = tmp_path / "audit.jsonl"
    copy.write_bytes(path.read_bytes().replace(b"person-3", b"person-4"))
    with pytest.raises(StartupError, match="does not verify; run"):
        made(copy)
    with pytest.raises(StartupError, match="signed by an unknown key"):
        list(extract(path, SigningKey(bytes(32)), "acme"))
