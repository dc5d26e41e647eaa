"""The progress of long commands: a line of a terminal, gone at the end; plain lines in a pipe; never in output."""

import sys
from pathlib import Path

import pytest
from support.terminal import shown_in_pipe, shown_on_terminal

from server.audit.files import size_of
from server.audit.reading import Filter, read_records
from server.audit.trail import AuditTrail
from server.audit.verify import verify
from server.progress import PATIENCE_S, PlainLines, Progress

PROGRAM = """
import sys, time
from server.progress import progress
with progress("copying " + "x" * 60, 10, streams="streams" in sys.argv) as shown:
    shown.advance(5)
    time.sleep(0.4)
    with shown.paused():
        print("a result")
    shown.step("second\\x1b[2Jstep")
    time.sleep(0.3)
"""
COMMAND = [sys.executable, "-c", PROGRAM]


class Kept(Progress):
    def __init__(self) -> None:
        self.steps: list[tuple[str, float | None]] = []
        self.done = 0.0

    def step(self, text: str, total: float | None = None) -> None:
        self.steps.append((text, total))
        self.done = 0.0

    def advance(self, amount: float = 1) -> None:
        self.done += amount


@pytest.mark.parametrize("columns", [40, 120])
def test_on_a_terminal_a_line_shows_step_share_and_time_and_is_gone_at_the_end(columns) -> None:
    shown = shown_on_terminal(COMMAND, columns)
    assert shown.code == 0
    assert " 50%" in shown.raw
    assert " 0 s" in shown.raw
    assert "second\ufffd[2Jstep" in shown.raw
    assert ("x" * 60 in shown.raw) == (columns == 120)
    assert [line for line in shown.lines if line] == ["a result"]


def test_a_command_that_prints_while_it_works_has_no_progress_on_the_terminal_that_gets_its_output() -> None:
    assert shown_on_terminal([*COMMAND, "streams"], 80).raw == "a result\r\n"


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"TERM": ""}])
def test_a_terminal_that_cannot_move_its_cursor_gets_no_escape(variables) -> None:
    assert shown_on_terminal(COMMAND, 80, **variables).raw == "a result\r\n"


def test_a_short_command_writes_nothing_through_a_pipe() -> None:
    shown = shown_in_pipe(COMMAND, FORCE_COLOR="1")
    assert (shown.raw, shown.errors) == ("a result\n", "")


def test_through_a_pipe_each_step_of_a_long_command_is_one_line() -> None:
    now, written = [0.0], list[str]()
    plain = PlainLines(written.append, lambda: now[0])
    plain.step("connecting")
    now[0] = PATIENCE_S
    for text in ("counting rows: a", "counting rows: b", "counting rows: b", "writing"):
        plain.step(text)
        plain.advance()
    now[0] = 12.4
    plain.finish()
    assert written == ["counting rows ...\n", "writing ...\n", "done after 12 s\n"]


def test_a_command_that_wrote_no_step_writes_no_end() -> None:
    written = list[str]()
    plain = PlainLines(written.append)
    plain.step("connecting")
    plain.finish()
    assert written == []


def test_the_progress_of_a_trail_counts_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    trail = AuditTrail(path)
    for number in range(5):
        trail.append({"tool": "t", "number_of": number})
    trail.close()
    shown = Kept()
    verify(path, shown=shown)
    assert shown.steps == [("verifying the audit trail: audit.jsonl", path.stat().st_size)]
    assert shown.done == size_of(path)
    assert len(list(read_records(path, Filter(), shown))) == 5
    assert shown.steps[-1] == ("reading the audit trail: audit.jsonl", path.stat().st_size)
    assert shown.done == size_of(path)
