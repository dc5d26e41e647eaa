"""What README, SECURITY and docs/ promise: each guarantee has its tests, and two pictures of one thing say the same."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README, SECURITY, ARCHITECTURE, DECISIONS = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "SECURITY.md", "docs/architecture.md", "docs/decisions.md")
)
GUARANTEES = re.findall(r"(?m)^\| (\d+) \| (.+?) \| (.+?) \|$", SECURITY)
SECTIONS = re.split(r"(?m)^## ", DECISIONS)[1:]
# A box of a picture: its name, its first line, and the statuses with which it may refuse.
BOX = re.compile(r'(\w+)\["([^"]*?)(?:<br/>refuses: ([\d, ]+)[^"]*?)?"\]')


def refusals(text: str) -> dict[str, set[str]]:
    """Return the statuses of each box of the first picture of a page that refuses."""
    [picture, *_] = re.findall(r"```mermaid\n(.*?)```", text, re.DOTALL)
    return {name: set(re.findall(r"\d+", said)) for name, _, said in BOX.findall(picture) if said}


def test_each_guarantee_names_tests_that_exist() -> None:
    assert [number for number, _, _ in GUARANTEES] == [str(number) for number in range(1, len(GUARANTEES) + 1)]
    assert len(GUARANTEES) >= 7
    for _, promise, tests in GUARANTEES:
        named = re.findall(r"`(tests/\w+\.py)`", tests)
        assert named, promise
        assert [name for name in named if not (ROOT / name).is_file()] == [], promise


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.partition("\n")[0])
def test_each_decision_says_when_to_reconsider(section: str) -> None:
    assert re.search(r"\bReconsider\b", section)


def test_the_two_pictures_of_the_request_flow_name_the_same_refusals() -> None:
    short, whole = refusals(README), refusals(ARCHITECTURE)
    # The short picture has one box for the tenant and its budget.
    together = whole | {"context": whole["context"] | whole["limits"]}
    assert short == {name: together[name] for name in short}
    assert {"address", "gate", "recorder", "endpoint", "calls", "context"} <= short.keys()


def test_the_tables_of_the_stages_name_the_refusals_of_the_picture() -> None:
    for stage, said in refusals(ARCHITECTURE).items():
        row = re.search(rf"(?m)^\| {stage.removesuffix('s')}s? \|.*\| ([^|]+) \|$", ARCHITECTURE)
        if row is None:
            assert stage == "context"
            continue
        assert said <= set(re.findall(r"\d{3}", row[1])), stage


def test_the_files_of_both_pictures_exist() -> None:
    named = re.findall(r'\["(server/[\w/]+(?:\.py)?)', README)
    assert len(named) > 8
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_file_that_the_tables_of_architecture_name_exists() -> None:
    rows = re.findall(r"(?m)^\| [\w' ]+ \| (`server/[^|]+) \|", ARCHITECTURE)
    assert len(rows) > 40
    for row in rows:
        first, *others = re.findall(r"`([\w/]+\.py)`", row)
        folder = Path(first).parent
        for name in (first, *(str(folder / one) if "/" not in one else one for one in others)):
            assert (ROOT / name).is_file(), name
