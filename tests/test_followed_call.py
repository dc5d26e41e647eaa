"""docs/architecture.md: the functions that one call passes, in the order of the page; every file that runs is named."""

import inspect
import re
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support.server_of_its_own import server_of_its_own

from server import app
from server.dev.stack import Stack

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
STEPS: list[tuple[str, str]] = re.findall(r"(?m)^\| \d+ \| `([\w./]+)` \| `([\w.<>]+)` \|", PAGE)
Passed = tuple[str, str]


@contextmanager
def watched(passed: list[Passed], watching: threading.Event) -> Generator[None]:
    """Note each function of the server that threads begun in this block call while `watching` is set."""
    known: set[Passed] = set()

    def note(frame: FrameType, event: str, _argument: Any) -> None:
        if event == "call" and watching.is_set():
            file = Path(frame.f_code.co_filename)
            if file.is_relative_to(ROOT / "server"):
                one = str(file.relative_to(ROOT)), frame.f_code.co_qualname
                if one not in known:
                    known.add(one)
                    passed.append(one)

    threading.setprofile(note)
    try:
        yield
    finally:
        threading.setprofile(None)


@pytest.fixture(scope="module")
def passed(stack: Stack) -> list[Passed]:
    """The functions of the server that a call passed, in the order in which each was called first."""
    found: list[Passed] = []
    watching = threading.Event()
    with watched(found, watching), server_of_its_own(stack, changed={"documents": None}) as server:
        # What the first call does alone: verifies the token, opens a connection, looks the tenant up. No documents:
        # their proof would run beside the call.
        server.call("query_claims")
        watching.set()
        assert not server.call("query_claims", period="last_week")["isError"]
        watching.clear()
    return found


def test_the_page_lists_the_functions_that_a_call_passes_in_their_order(passed: list[Passed]) -> None:
    steps = [step for step in STEPS if step[0].startswith("server/")]
    assert [step for step in steps if step not in passed] == []
    places = [passed.index(step) for step in steps]
    assert places == sorted(places)


def test_the_page_names_every_file_that_runs_during_a_call(passed: list[Passed]) -> None:
    files = dict.fromkeys(file for file, _ in passed)
    unnamed = [file for file in files if Path(file).name not in PAGE]
    assert unnamed == [], "name these files in a row of docs/architecture.md"


def test_the_steps_that_no_trace_of_this_process_sees_exist() -> None:
    [(file, function)] = [step for step in STEPS if not step[0].startswith("server/")]
    assert f"FUNCTION {function}(" in (ROOT / file).read_text(encoding="utf-8")
    assert inspect.isfunction(app.create_app)


def test_contributing_counts_the_files_of_the_page() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert f"| follow one call | {len(STEPS) + 1} to read |" in text
