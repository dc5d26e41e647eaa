"""The audit trail: whatever is done to it shows."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from server.audit.trail import AuditTrail
from server.audit.verify import verify
from server.audit.walk import Break
from server.errors import AuditError, StartupError

ROOT = Path(__file__).parents[1]
SETTINGS = """
resource_url = "https://mcp.example.com/mcp"
[[issuers]]
issuer = "https://issuer.example.com"
client_ids = ["example"]
[database]
[audit]
path = "{trail}"
"""


@pytest.fixture
def trail(tmp_path: Path) -> Path:
    """Eleven lines: the beginning and ten records."""
    path = tmp_path / "audit.jsonl"
    writer = AuditTrail(path)
    for number in range(10):
        writer.append({"subject": f"person-{number}", "outcome": "answered"})
    writer.close()
    return path


def checked(path: Path) -> tuple[int, Break | None]:
    (one,) = verify(path)
    return one.records, one.broken


def broken(path: Path) -> tuple[str, int, str]:
    (found,) = [one.broken for one in verify(path) if one.broken]
    return found.file.name, found.line, found.kind


def test_an_unchanged_trail_verifies_and_is_continued(trail) -> None:
    assert checked(trail) == (11, None)
    writer = AuditTrail(trail)
    writer.append({"subject": "person-10"})
    writer.close()
    assert checked(trail) == (13, None)
    assert json.loads(trail.read_text().splitlines()[-1])["number"] == 13


def _edit(lines: list[str]) -> None:
    lines[5] = lines[5].replace("person-4", "person-5")


def _delete(lines: list[str]) -> None:
    del lines[5]


def _swap(lines: list[str]) -> None:
    lines[5], lines[6] = lines[6], lines[5]


def _repeat(lines: list[str]) -> None:
    lines.insert(5, lines[5])


def _halve(lines: list[str]) -> None:
    lines[5] = lines[5][:30] + "\n"


def _add(lines: list[str]) -> None:
    lines[5] = lines[5].replace('"}', '", "extra": 1}')


@pytest.mark.parametrize(
    ("change", "line", "kind"),
    [
        (_edit, 6, "edited"),
        (_delete, 6, "removed"),
        (_swap, 6, "reordered"),
        (_repeat, 7, "added"),
        (_halve, 6, "edited"),
        (_add, 6, "edited"),
    ],
)
def test_r107_a_changed_record_is_found_where_it_is(trail, change, line, kind) -> None:
    """R107."""
    lines = trail.read_text().splitlines(keepends=True)
    change(lines)
    trail.write_text("".join(lines))
    assert broken(trail) == ("audit.jsonl", line, kind)
    assert checked(trail)[0] == line - 1


@pytest.mark.parametrize("kept", [10, 1])
def test_r107_a_cut_tail_is_found(trail, kept) -> None:
    """R107."""
    trail.write_text("".join(trail.read_text().splitlines(keepends=True)[:kept]))
    assert broken(trail) == ("audit.jsonl", kept + 1, "cut")
    assert checked(trail)[0] == kept
    with pytest.raises(StartupError, match="does not end as"):
        AuditTrail(trail)


@pytest.mark.parametrize("empty", [True, False])
def test_r107_a_file_that_is_gone_is_found_and_does_not_stop_the_next_start(trail, empty) -> None:
    """R107: it may have been moved to an archive, so the server begins the next file after it."""
    trail.write_text("") if empty else trail.unlink()
    assert broken(trail) == ("audit.jsonl", 1, "missing")
    writer = AuditTrail(trail)
    writer.append({"subject": "after it"})
    writer.close()
    assert broken(trail) == ("audit.jsonl", 1, "missing")
    (part,) = verify(trail, archived=True)
    assert (part.broken, part.records, part.last) == (None, 2, 13)


def test_r107_a_lost_head_is_found(trail) -> None:
    """R107."""
    trail.with_name("audit.jsonl.head").unlink()
    assert broken(trail) == ("audit.jsonl", 11, "head")
    with pytest.raises(StartupError, match="does not end as"):
        AuditTrail(trail)


def test_records_that_somebody_else_added_are_found(trail) -> None:
    head = trail.with_name("audit.jsonl.head").read_text()
    writer = AuditTrail(trail)
    writer.append({"subject": "forged"})
    writer.close()
    trail.with_name("audit.jsonl.head").write_text(head)
    assert broken(trail)[2] == "added"


def test_r104_line_breaks_and_escapes_stay_inside_one_line(tmp_path) -> None:
    """R104."""
    path = tmp_path / "audit.jsonl"
    writer = AuditTrail(path)
    writer.append({"subject": 'a\r\nb\x1b[31m\u202e"},"hash":"x'})
    writer.close()
    assert checked(path) == (2, None)
    assert path.read_text().isascii()
    assert len(path.read_bytes().splitlines()) == 2


def test_r106_a_trail_that_cannot_be_written_is_an_error_and_not_silence(trail, tmp_path) -> None:
    """R106."""
    writer = AuditTrail(trail)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (trail.stat().st_size + 10, limits[1]))
    try:
        with pytest.raises(AuditError):
            writer.append({"subject": "a"})
        assert writer.problem == "No space left on device"
        with pytest.raises(AuditError):
            writer.tick()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    writer.tick()
    assert writer.problem is None
    writer.append({"subject": "b"})
    writer.close()
    assert checked(trail) == (14, None)
    assert [json.loads(line).get("event") for line in trail.read_text().splitlines()[11:]] == ["begin", "resumed", None]
    with pytest.raises(StartupError, match="correct audit"):
        AuditTrail(tmp_path / "missing" / "audit.jsonl")


def test_a_process_that_died_between_record_and_head_leaves_a_whole_trail(trail) -> None:
    writer = AuditTrail(trail)
    head = trail.with_name("audit.jsonl.head")
    before = head.read_text()
    writer.append({"subject": "the last"})
    writer.close()
    head.write_text(before)
    assert checked(trail) == (13, None)
    AuditTrail(trail).close()


def test_half_a_record_that_a_crash_left_does_not_stop_the_next_start(trail) -> None:
    with trail.open("a") as file:
        file.write('{"number":12,"time":17')
    AuditTrail(trail).close()
    assert checked(trail) == (12, None)


def test_a_second_writer_takes_a_file_of_its_own(trail) -> None:
    first, second = AuditTrail(trail), AuditTrail(trail)
    assert second.path.name == "audit.1.jsonl"
    for writer in (first, second, first):
        writer.append({"subject": "a"})
        assert [one.broken for one in verify(trail)] == [None, None]
    first.close()
    second.close()
    again = AuditTrail(trail)
    assert again.path == trail
    again.close()


def test_the_trail_of_each_worker_is_verified(trail) -> None:
    first, second = AuditTrail(trail), AuditTrail(trail)
    second.append({"subject": "person-x"})
    first.close()
    second.close()
    second.path.write_text(second.path.read_text().replace("person-x", "person-y"))
    assert broken(trail) == ("audit.1.jsonl", 2, "edited")


def test_the_command_shows_where_a_trail_breaks(trail) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "server", "audit", "verify", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    good = run(str(trail))
    assert (good.returncode, good.stdout) == (0, "audit.jsonl: 11 records in 1 file hold; nothing is signed\n")
    settings = trail.with_name("settings.toml")
    settings.write_text(SETTINGS.format(trail=trail))
    configured = run("--config", str(settings))
    assert configured.stdout == good.stdout
    trail.write_text(trail.read_text().replace("person-4", "person-x"))
    bad = run(str(trail))
    assert bad.returncode == 1
    assert "audit.jsonl: line 6: edited" in bad.stderr
