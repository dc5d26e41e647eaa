"""A trail that is taken away from under the running server: noticed with the next record, and never silent."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.audit import breaks, fill, recorded, signed_trail

from server.audit.files import trail_files
from server.audit.trail import AuditTrail
from server.audit.verify import verify
from server.errors import AuditError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def trail(path: Path) -> Iterator[AuditTrail]:
    writer = signed_trail(path)
    fill(writer, 3)
    yield writer
    writer.close()


def test_a_deleted_trail_refuses_the_next_record_and_a_new_file_follows(trail, path) -> None:
    """R151."""
    path.unlink()
    with pytest.raises(AuditError) as refused:
        fill(trail, 1)
    assert "deleted" in str(refused.value.__cause__)
    assert trail.problem is not None
    fill(trail, 1)
    assert trail.problem is None
    assert len(recorded(path)) == 1
    assert breaks(path) == [("audit.jsonl", 1, "missing")]


def test_a_deleted_trail_refuses_everything_until_it_can_be_written_again(trail, path) -> None:
    shutil.rmtree(path.parent)
    for _ in range(3):
        with pytest.raises(AuditError):
            fill(trail, 1)
    path.parent.mkdir()
    fill(trail, 1)
    assert len(recorded(path)) == 1


def test_a_moved_trail_is_continued_in_a_new_file_without_a_refusal(trail, path) -> None:
    """As logrotate does it, whatever it calls the old file."""
    path.rename(path.with_name("audit.jsonl-20261126"))
    fill(trail, 2)
    assert len(recorded(path)) == 2
    assert breaks(path) == []
    (one,) = verify(path)
    assert one.files == 2


def test_a_moved_trail_with_an_empty_file_in_its_place_is_continued_there(trail, path) -> None:
    path.rename(path.with_name("audit.jsonl.1"))
    path.touch()
    fill(trail, 1)
    assert breaks(path) == []


def test_a_trail_that_was_moved_elsewhere_is_named_unless_it_is_archived(trail, path, tmp_path_factory) -> None:
    archive = tmp_path_factory.mktemp("archive") / "audit.jsonl"
    path.rename(archive)
    fill(trail, 1)
    assert breaks(path) == [("audit.jsonl", 1, "missing")]
    assert [one.broken for one in verify(archive, archived=True)] == [None]
    assert [one.broken for one in verify(path, archived=True)] == [None]


def test_files_without_an_ending_are_distinguished(tmp_path) -> None:
    """`audit.1` is the second worker's, or what logrotate made of the first one's: the file itself says which."""
    path = tmp_path / "audit"
    first, second = signed_trail(path), signed_trail(path)
    fill(first, 1)
    fill(second, 2)
    second.close()
    path.rename(tmp_path / "audit.1.gz.not")
    (tmp_path / "audit77").write_text("of somebody else")
    fill(first, 1)
    first.close()
    assert breaks(path) == []
    assert {(one.name, one.files) for one in verify(path)} == {("audit", 2), ("audit.1", 1)}


@pytest.mark.parametrize("how", ["another", "a copy"])
def test_a_replaced_trail_refuses_everything_until_the_other_file_is_gone(trail, path, how) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes() if how == "a copy" else b"{}\n")
    other.replace(path)
    for _ in range(2):
        with pytest.raises(AuditError):
            fill(trail, 1)
    path.rename(path.with_name("foreign"))
    fill(trail, 1)
    assert len(recorded(path)) == 1
    assert breaks(path) == [("audit.jsonl", 1, "missing")]


def test_a_trail_that_is_cut_or_written_by_others_is_set_aside(trail, path) -> None:
    size = path.stat().st_size
    os.truncate(path, size - 100)
    with pytest.raises(AuditError):
        fill(trail, 1)
    fill(trail, 1)
    assert len(recorded(path)) == 1
    assert len(trail_files(path)) == 2
    ((name, line, kind),) = breaks(path)
    assert (name.startswith("audit.jsonl.2"), line, kind) == (True, 5, "edited")


def test_the_idle_server_notices_too(trail, path) -> None:
    path.unlink()
    with pytest.raises(AuditError):
        trail.tick()
    trail.tick()
    assert trail.problem is None


def test_a_trail_rotates_by_size_by_time_and_on_demand(path) -> None:
    writer = signed_trail(path, rotate_bytes=4_096)
    fill(writer, 40)
    by_size = len(trail_files(path))
    assert by_size > 2
    writer.rotate()
    writer.close()
    assert len(trail_files(path)) == by_size + 1
    writer = signed_trail(path, rotate_s=0)
    writer.tick()
    assert len(trail_files(path)) == by_size + 1, "an empty part is not begun anew"
    fill(writer, 1)
    writer.tick()
    writer.close()
    assert len(trail_files(path)) == by_size + 2
    assert breaks(path) == []
    (one,) = verify(path)
    assert one.files == by_size + 2


def test_a_rotated_file_that_is_deleted_edited_or_swapped_is_named(path) -> None:
    writer = signed_trail(path, rotate_bytes=4_096)
    fill(writer, 40)
    writer.close()
    files = [one for one in trail_files(path) if one != path]
    kept = files[1].read_bytes()
    files[1].unlink()
    assert breaks(path) == [(files[2].name, 1, "missing")]
    files[1].write_bytes(kept.replace(b"person-", b"Person-", 1))
    assert breaks(path)[0][0] == files[1].name
    files[1].write_bytes(kept)
    assert breaks(path) == []
