"""Signed checkpoints: who can rewrite the files still cannot make a trail that verifies."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.audit import KEY, PUBLIC, breaks, fill, forge, signed_trail

from server.audit.keys import SigningKey, public_keys
from server.audit.trail import AuditTrail
from server.audit.verify import verify

ROOT = Path(__file__).parents[1]
FILLED = 25


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "audit.jsonl"
    writer = signed_trail(path, checkpoint_records=10)
    fill(writer, FILLED)
    writer.close()
    return path


def _checkpoints(path: Path) -> list[int]:
    records = (json.loads(line) for line in path.read_text().splitlines())
    return [one["number"] for one in records if one.get("event") == "checkpoint"]


def test_a_checkpoint_follows_the_beginning_every_n_records_and_the_end(path) -> None:
    assert _checkpoints(path) == [2, 13, 24, 30]
    (one,) = verify(path, PUBLIC)
    assert (one.broken, one.checkpoints, one.unsigned) == (None, 4, 0)


def test_a_checkpoint_follows_after_a_time(tmp_path) -> None:
    writer = signed_trail(tmp_path / "audit.jsonl", checkpoint_s=0)
    fill(writer, 1)
    writer.tick()
    assert _checkpoints(writer.path) == [2, 4]
    writer.tick()
    assert _checkpoints(writer.path) == [2, 4], "nothing new is nothing to sign"
    writer.close()


def _renamed(records):
    return [{**one, "subject": "person-x"} if one.get("subject") == "person-4" else one for one in records]


def _without_one(records):
    return [one for one in records if one.get("subject") != "person-4"]


def _without_checkpoints(records):
    return [one for one in _renamed(records) if one.get("event") != "checkpoint"]


def _only_the_first_checkpoint(records):
    return [one for one in _renamed(records) if one.get("event") != "checkpoint" or one["number"] == 2]


@pytest.mark.parametrize(
    ("change", "line", "kind"),
    [
        (_renamed, 13, "forged"),
        (_without_one, 12, "forged"),
        (_without_checkpoints, 2, "unsigned"),
        (_only_the_first_checkpoint, 27, "unsigned"),
    ],
)
def test_a_forged_trail_with_recomputed_hashes_fails(path, change, line, kind) -> None:
    """R154."""
    forge(path, change)
    assert breaks(path, None) == [], "without the key, the forgery is perfect"
    assert breaks(path) == [("audit.jsonl", line, kind)]


def test_a_forger_with_a_key_of_their_own_fails(path, tmp_path) -> None:
    other = AuditTrail(tmp_path / "other.jsonl", SigningKey(bytes(32)))
    fill(other, 3)
    other.close()
    assert breaks(other.path) == [("other.jsonl", 2, "forged")]
    assert breaks(other.path, public_keys([SigningKey(bytes(32)).public_text()])) == []


def test_what_a_forger_removes_for_the_server_to_sign_again_is_named(path) -> None:
    forge(path, _without_checkpoints)
    writer = signed_trail(path, checkpoint_records=10)
    writer.close()
    assert breaks(path) == [("audit.jsonl", 2, "unsigned")]


def test_former_keys_still_verify(path) -> None:
    new = SigningKey(bytes(32))
    writer = AuditTrail(path, new)
    fill(writer, 2)
    writer.close()
    assert breaks(path)[0][2] == "forged"
    assert breaks(path, public_keys([KEY.public_text(), new.public_text()])) == []


def test_a_worker_whose_trail_vanished_is_named_by_the_others(tmp_path) -> None:
    path = tmp_path / "audit.jsonl"
    first, second = signed_trail(path), signed_trail(path)
    fill(second, 5)
    fill(first, 1)
    first.close()
    second.close()
    assert breaks(path) == []
    second.path.unlink()
    second.path.with_name(second.path.name + ".head").unlink()
    assert breaks(path) == [("audit.1.jsonl", 1, "missing")]


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, "tests")
from support.audit import signed_trail, fill, KEY
from support import audit
from server.audit.keys import SigningKey
audit.KEY = SigningKey(bytes.fromhex(sys.argv[2]))
trail = audit.signed_trail(Path(sys.argv[1]), checkpoint_records=10)
number = 0
while True:
    trail.append({"tenant": "acme", "subject": f"person-{number}"})
    number += 1
    print(number, flush=True)
"""


def test_a_killed_process_loses_no_record_and_the_next_one_signs_its_tail(tmp_path) -> None:
    path = tmp_path / "audit.jsonl"
    command = [sys.executable, "-c", KILLED, str(path), KEY.seed.hex()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "57\n":
            assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
        rest = [line for line in process.stdout.read().splitlines(keepends=True) if line.strip().isdigit()]
        # A line that was not ended may lack digits.
        released = max([57, *(int(line) for line in rest if line.endswith("\n"))])
    assert breaks(path) == []
    writer = signed_trail(path, checkpoint_records=10)
    fill(writer, 1)
    writer.close()
    (one,) = verify(path, PUBLIC)
    assert (one.broken, one.unsigned) == (None, 0)
    subjects = [json.loads(line).get("subject") for line in path.read_text().splitlines()]
    assert f"person-{released - 1}" in subjects
