"""The table of security requirements: every line is there, and every test that it names covers it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROW = re.compile(r"^\| R(\d+) \| (.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
TABLE = {int(row[0]): row for row in ROW.findall((ROOT / "docs" / "security-requirements.md").read_text("utf-8"))}


def test_every_requirement_has_its_line() -> None:
    assert list(TABLE)[:110] == list(range(1, 111))
    assert sorted(TABLE) == list(TABLE)


def test_no_line_of_identity_is_open() -> None:
    assert not [number for number in range(1, 73) if TABLE[number][3].startswith("open")]


@pytest.mark.parametrize("number", list(TABLE))
def test_what_a_line_names_exists_and_names_the_line(number: int) -> None:
    """A line that is not tested says why."""
    _, _, enforced, tests = TABLE[number]
    if tests.startswith(("open: ", "not applicable: ")):
        assert len(tests) > 20
        return
    for path in re.findall(r"server/[a-z_/]+\.py", enforced):
        assert (ROOT / path).is_file(), path
    named = tests.split(", ")
    assert named
    for path in named:
        assert re.search(rf"\bR{number}\b", (ROOT / path).read_text("utf-8")), f"{path} does not name R{number}"
