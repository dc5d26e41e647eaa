"""The audit trail: whatever is done to it shows."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from server.audit.trail import AuditTrail, verify
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
def trail(tmp_path) -> Path:
    path = tmp_path / "audit.jsonl"
    writer = AuditTrail(path)
    for number in range(10):
        writer.append({"subject": f"person-{number}", "outcome": "answered"})
    writer.close()
    return path


def test_an_untouched_trail_holds_and_is_continued(trail) -> None:
    assert verify(trail) == (10, None)
    writer = AuditTrail(trail)
    writer.append({"subject": "person-10"})
    writer.close()
    assert verify(trail) == (11, None)
    assert json.loads(trail.read_text().splitlines()[-1])["number"] == 11


def _edit(lines: list[str]) -> None:
    lines[4] = lines[4].replace("person-4", "person-5")


def _delete(lines: list[str]) -> None:
    del lines[4]


def _swap(lines: list[str]) -> None:
    lines[4], lines[5] = lines[5], lines[4]


def _repeat(lines: list[str]) -> None:
    lines.insert(4, lines[4])


def _halve(lines: list[str]) -> None:
    lines[4] = lines[4][:30] + "\n"


def _add(lines: list[str]) -> None:
    lines[4] = lines[4].replace('"}', '", "extra": 1}')


@pytest.mark.parametrize("change", [_edit, _delete, _swap, _repeat, _halve, _add])
def test_r107_a_changed_record_is_found_where_it_is(trail, change) -> None:
    """R107."""
    lines = trail.read_text().splitlines(keepends=True)
    change(lines)
    trail.write_text("".join(lines))
    held, broken = verify(trail)
    assert broken is not None
    assert broken.line in (5, 6)
    assert held == broken.line - 1


@pytest.mark.parametrize("kept", [9, 1, 0])
def test_r107_a_cut_tail_is_found(trail, kept) -> None:
    """R107."""
    trail.write_text("".join(trail.read_text().splitlines(keepends=True)[:kept]))
    held, broken = verify(trail)
    assert broken is not None
    assert (held, broken.line) == (kept, kept + 1)
    with pytest.raises(StartupError, match="does not end where it did"):
        AuditTrail(trail)


def test_r107_a_lost_head_is_found(trail) -> None:
    """R107."""
    trail.with_name("audit.jsonl.head").unlink()
    _, broken = verify(trail)
    assert broken is not None
    assert broken.problem.endswith("FILE.head was changed")


def test_r104_line_breaks_and_escapes_stay_inside_one_line(tmp_path) -> None:
    """R104."""
    path = tmp_path / "audit.jsonl"
    writer = AuditTrail(path)
    writer.append({"subject": 'a\r\nb\x1b[31m\u202e"},"hash":"x'})
    writer.close()
    assert verify(path) == (1, None)
    assert path.read_text().isascii()
    assert len(path.read_bytes().splitlines()) == 1


def test_r106_a_trail_that_cannot_be_written_is_an_error_and_not_silence(trail, tmp_path) -> None:
    """R106."""
    writer = AuditTrail(trail)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (trail.stat().st_size + 10, limits[1]))
    try:
        with pytest.raises(AuditError):
            writer.append({"subject": "a"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    writer.append({"subject": "b"})
    writer.close()
    assert verify(trail) == (11, None)
    with pytest.raises(StartupError, match="correct audit"):
        AuditTrail(tmp_path / "missing" / "audit.jsonl")


def test_a_process_that_died_between_record_and_head_leaves_a_whole_trail(trail) -> None:
    head = trail.with_name("audit.jsonl.head")
    before = head.read_text()
    writer = AuditTrail(trail)
    writer.append({"subject": "the last"})
    writer.close()
    head.write_text(before)
    assert verify(trail) == (11, None)
    AuditTrail(trail).close()


def test_a_second_writer_takes_a_file_of_its_own(trail) -> None:
    first, second = AuditTrail(trail), AuditTrail(trail)
    assert second.path.name == "audit.1.jsonl"
    for writer in (first, second, first):
        writer.append({"subject": "a"})
        assert verify(writer.path)[1] is None
    first.close()
    second.close()
    again = AuditTrail(trail)
    assert again.path == trail
    again.close()


def test_the_command_tells_where_a_trail_breaks(trail) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "server", "audit", "verify", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    good = run(str(trail))
    assert (good.returncode, good.stdout.count("10 records hold")) == (0, 1)
    settings = trail.with_name("settings.toml")
    settings.write_text(SETTINGS.format(trail=trail))
    configured = run("--config", str(settings))
    assert configured.stdout == good.stdout
    trail.write_text(trail.read_text().replace("person-4", "person-x"))
    bad = run(str(trail))
    assert bad.returncode == 1
    assert "line 5" in bad.stderr
