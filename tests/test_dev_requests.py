"""What `tenantgate dev` shows of each request: one aligned line, on terminals of any width and through a pipe."""

import io
import re
from typing import Any

import pytest
from rich.console import Console
from support.terminal import Shown

from server.dev.requests import RequestLines, ShowingRecorder
from server.http.outcome import Decision, Outcome
from server.settings import Settings

PEOPLE = {"1": "ann-of-a-name-that-is-too-long-for-the-column"}
REQUESTS: dict[str, dict[str, Any]] = {
    "rows": {"status": 200, "tool": "query_claims", "subject": "1", "tenant": "acme", "outcome": "answered", "rows": 3},
    "one row": {"status": 200, "tool": "t", "subject": "1", "tenant": "acme", "outcome": "answered", "rows": 1},
    "passages": {
        "status": 200,
        "tool": "search",
        "subject": "2",
        "tenant": "b" * 40,
        "outcome": "answered",
        "passages": 5,
    },
    "no token": {"status": 401, "method": "POST", "refused": "no bearer token"},
    "no tenant": {"status": 403, "tool": "x", "subject": "2\n3\x1b[2J", "refused": "the person has no tenant"},
    "wrong arguments": {"status": 200, "tool": "x", "subject": "1", "tenant": "acme", "outcome": "ArgumentsError"},
    "list": {"status": 200, "mcp_method": "tools/list", "method": "POST", "subject": "1"},
    "broken": {"status": 503, "tool": "x", "subject": "1", "refused": "the audit trail cannot be written"},
}


def lines(width: int | None, **options: Any) -> RequestLines:
    file = io.TextIOWrapper(io.BytesIO(), encoding=options.pop("encoding", "utf-8"))
    console = Console(file=file, force_terminal=width is not None, width=width or 80, **options)
    return RequestLines(console, PEOPLE, lambda: width)


def shown(width: int | None, request: dict[str, Any], **options: Any) -> str:
    """Return the line without colours."""
    (line,) = Shown(0, lines(width, **options).line({"ms": 12.34, **request})).lines
    return line


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_one_line_that_fits_and_stands_under_its_headings(width, name) -> None:
    line = shown(width, REQUESTS[name])
    (heading,) = Shown(0, lines(width).heading()).lines
    assert len(line) <= width
    assert line.isprintable()
    for column in ("person", "tool", "outcome"):
        at = heading.index(column)
        assert line[at - 1] == " "
        assert line[at] != " "


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("rows", "ann-of-a-name-tha… acme query_claims 3 12.3 answered"),
        ("no token", "nobody POST 12.3 401 no bearer token"),
        ("list", "ann-of-a-name-tha… tools/list 12.3 answered"),
    ],
)
def test_a_line_has_time_person_tenant_tool_rows_milliseconds_and_outcome(name, line) -> None:
    assert re.fullmatch(rf"\d\d:\d\d:\d\d {re.escape(line)}", " ".join(shown(120, REQUESTS[name]).split()))


def test_a_narrow_terminal_has_the_rows_in_place_of_the_outcome() -> None:
    assert shown(40, REQUESTS["rows"]).endswith(" query_cla… 3 rows")
    assert shown(40, REQUESTS["one row"]).endswith(" 1 row")


def test_through_a_pipe_the_reason_is_whole_and_there_is_no_control_character() -> None:
    """R270."""
    line = lines(None).line({"ms": 1.0, **REQUESTS["no tenant"]})
    assert line.isprintable()
    assert line.endswith(" 403 the person has no tenant")
    assert " 2\ufffd3\ufffd[2J " in line


def test_a_colour_says_whether_a_request_was_answered_refused_or_failed() -> None:
    for name, colour in (("rows", "32"), ("no tenant", "33"), ("wrong arguments", "33"), ("broken", "31")):
        assert f"\x1b[{colour}m" in lines(120, color_system="standard").line({"ms": 1.0, **REQUESTS[name]})
    assert not Shown(0, lines(120, no_color=True).line(REQUESTS["rows"])).has_colours


def test_refusals_that_are_counted_are_shown_as_a_count() -> None:
    assert shown(120, {"event": "refused", "refused": "no bearer token", "count": 7}).endswith(
        " 7 more refused: no bearer token"
    )


def test_a_terminal_without_these_characters_gets_a_plain_mark_of_a_cut() -> None:
    assert shown(40, REQUESTS["rows"], encoding="ascii").isascii()


def test_what_is_shown_is_the_record_of_the_request_with_its_rows() -> None:
    """The same fields as in the audit trail: nothing is measured a second time."""
    seen: list[Any] = []
    recorder = ShowingRecorder(Settings(), show=seen.append)
    decision = Decision("POST", tool="query_claims", tenant="acme", outcome="answered", evidence=lambda: {"rows": 3})
    recorder.log({"tool": "query_claims", "status": 200}, Outcome(200, b"{}", (), decision), 0.0)
    recorder.log(None, Outcome(401, b"{}", (), decision), 0.0)
    assert [(one["tool"], one["rows"], one["status"]) for one in seen] == [("query_claims", 3, 200)]
