"""A disk that fails while the audit trail is forced to it: nothing is answered, and the trail stays whole."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.audit import KEY, PUBLIC, breaks, fill, signed_trail

from server.audit.extract import extract
from server.audit.extract_check import check_extract
from server.errors import AuditError


class Disk:
    """Fails while it is `broken`; `flushes` counts."""

    def __init__(self, really: Callable[[int], None]) -> None:
        self.is_broken = False
        self.flushes = 0
        self._really = really

    def fdatasync(self, file: int) -> None:
        self.flushes += 1
        if self.is_broken:
            raise OSError(errno.EIO, "Input/output error")
        self._really(file)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk(os.fdatasync)
    monkeypatch.setattr(os, "fdatasync", disk.fdatasync)
    return disk


@pytest.mark.parametrize("fsync", ["checkpoint", "record"])
def test_a_disk_that_fails_refuses_until_it_works_and_leaves_a_whole_trail(tmp_path: Path, disk: Disk, fsync) -> None:
    path = tmp_path / "audit.jsonl"
    trail = signed_trail(path, checkpoint_records=10, fsync=fsync)
    fill(trail, 5)
    disk.is_broken = True
    with pytest.raises(AuditError):
        fill(trail, 20)
    for _ in range(30):
        with pytest.raises(AuditError):
            fill(trail, 1)
        with pytest.raises(AuditError):
            trail.tick()
    assert trail.problem == "Input/output error"
    assert "resumed" not in path.read_text()
    disk.is_broken = False
    trail.tick()
    assert path.read_text().count('"event":"resumed"') == 1
    fill(trail, 25)
    trail.close()
    assert breaks(path) == []
    assert check_extract(extract(path, KEY, "acme"), PUBLIC).records >= 30


def test_while_the_disk_fails_there_is_one_checkpoint_and_not_one_for_each_request(tmp_path: Path, disk: Disk) -> None:
    path = tmp_path / "audit.jsonl"
    trail = signed_trail(path, checkpoint_records=10)
    fill(trail, 10)
    disk.is_broken = True
    before = path.read_text().count('"event":"checkpoint"')
    for _ in range(30):
        with pytest.raises(AuditError):
            fill(trail, 1)
    assert path.read_text().count('"event":"checkpoint"') == before + 1


def test_each_record_and_its_head_are_forced_to_the_disk(tmp_path: Path, disk: Disk) -> None:
    """A head that a power failure left behind would look like records that somebody added."""
    trail = signed_trail(tmp_path / "audit.jsonl", checkpoint_records=1_000, fsync="record")
    before = disk.flushes
    fill(trail, 7)
    assert disk.flushes - before == 2 * 7


def test_without_fsync_the_disk_is_not_asked(tmp_path: Path, disk: Disk) -> None:
    trail = signed_trail(tmp_path / "audit.jsonl", checkpoint_records=10, fsync="never")
    fill(trail, 100)
    trail.close()
    assert disk.flushes == 0
