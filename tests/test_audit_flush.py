"""A disk that is slow or fails while the audit trail is forced to it: no request waits, and none is unrecorded."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from server.audit import flush
from server.audit.flush import Flush
from server.audit.rules import TrailRules
from server.audit.trail import AuditTrail
from server.audit.verify import verify
from server.errors import AuditError, StartupError

RULES = TrailRules(checkpoint_records=10)


class Disk:
    """Confirms nothing while it is `closed`, and fails while it is `broken`; `flushes` counts."""

    def __init__(self, really: Callable[[int], None]) -> None:
        self.answers = threading.Event()
        self.answers.set()
        self.is_broken = False
        self.flushes = 0
        self._really = really

    def fdatasync(self, file: int) -> None:
        assert self.answers.wait(20)
        self.flushes += 1
        if self.is_broken:
            raise OSError(errno.EIO, "Input/output error")
        self._really(file)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk(os.fdatasync)
    monkeypatch.setattr(os, "fdatasync", disk.fdatasync)
    yield disk
    disk.answers.set()


def written(trail: AuditTrail, count: int) -> None:
    for number in range(count):
        trail.append({"tenant": "acme", "n": number})


def records(path: Path) -> int:
    (found,) = verify(path)
    assert found.broken is None
    return found.records


def until_quiet(trail: AuditTrail) -> None:
    """Tick as a server does, until the trail records again."""
    for _ in range(200):
        try:
            trail.tick()
        except AuditError:
            time.sleep(0.01)
        else:
            return
    pytest.fail("the trail stays refused")


def test_no_record_waits_for_a_slow_disk(tmp_path: Path, disk: Disk) -> None:
    """R271."""
    trail = AuditTrail(tmp_path / "audit.jsonl", rules=RULES)
    disk.answers.clear()
    before = disk.flushes
    began = time.monotonic()
    written(trail, 100)
    assert time.monotonic() - began < 2
    assert disk.flushes == before
    disk.answers.set()
    trail.close()
    # Two files each time: the trail and its head.
    assert disk.flushes - before == 2 * 10
    assert records(tmp_path / "audit.jsonl") == 101


def test_a_disk_that_does_not_confirm_in_time_refuses_until_it_does(
    tmp_path: Path, disk: Disk, monkeypatch: Any
) -> None:
    """R271."""
    monkeypatch.setattr(flush, "LONGEST_S", 0.1)
    trail = AuditTrail(tmp_path / "audit.jsonl", rules=RULES)
    disk.answers.clear()
    written(trail, 11)
    time.sleep(0.15)
    with pytest.raises(AuditError):
        written(trail, 1)
    assert trail.problem == "the disk does not confirm what was written"
    disk.answers.set()
    until_quiet(trail)
    assert trail.problem is None
    written(trail, 1)
    trail.close()
    assert '"event":"resumed","problem":"the disk does not confirm' in (tmp_path / "audit.jsonl").read_text()
    assert records(tmp_path / "audit.jsonl")


def test_a_disk_that_fails_refuses_until_a_flush_succeeds(tmp_path: Path, disk: Disk) -> None:
    """R271: every record after the failure, not only the first."""
    trail = AuditTrail(tmp_path / "audit.jsonl", rules=RULES)
    disk.is_broken = True
    written(trail, 11)
    with pytest.raises(AuditError):
        written(trail, 1_000)
    for _ in range(3):
        with pytest.raises(AuditError):
            written(trail, 1)
        assert trail.problem == "Input/output error"
    disk.is_broken = False
    until_quiet(trail)
    written(trail, 1)
    trail.close()
    assert records(tmp_path / "audit.jsonl")


def test_a_start_waits_for_the_disk(tmp_path: Path, disk: Disk) -> None:
    disk.is_broken = True
    with pytest.raises(StartupError, match=r"cannot be written \(Input/output error\)"):
        AuditTrail(tmp_path / "audit.jsonl", rules=RULES)


def test_an_end_waits_for_the_disk(tmp_path: Path, disk: Disk) -> None:
    trail = AuditTrail(tmp_path / "audit.jsonl", rules=RULES)
    before = disk.flushes
    written(trail, 3)
    trail.close()
    assert disk.flushes - before == 2


def test_without_fsync_the_disk_is_not_asked(tmp_path: Path, disk: Disk) -> None:
    trail = AuditTrail(tmp_path / "audit.jsonl", rules=TrailRules(checkpoint_records=10, fsync="never"))
    written(trail, 100)
    trail.close()
    assert disk.flushes == 0


def test_a_file_that_was_closed_meanwhile_is_flushed_all_the_same(tmp_path: Path, disk: Disk) -> None:
    """Its descriptor's number may have gone to another file."""
    flushing = Flush()
    file = os.open(tmp_path / "one", os.O_WRONLY | os.O_CREAT)
    disk.answers.clear()
    flushing.begin([file])
    os.close(file)
    disk.answers.set()
    flushing.wait()
    flushing.close()
    assert disk.flushes == 1
