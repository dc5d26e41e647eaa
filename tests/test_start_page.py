"""docs/index.md: ten questions of three readers, each with a link that leads to the heading of its answer."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGE = (DOCS / "index.md").read_text(encoding="utf-8")
QUESTIONS = PAGE.partition("## Ten questions")[2].partition("\n## ")[0]
ROWS = [[cell.strip() for cell in line.split("|")[1:-1]] for line in QUESTIONS.splitlines() if line.startswith("| ")][
    1:
]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#([^)\s]+))?\)")


def slugs(text: str) -> set[str]:
    """Return the anchors of a page's headings, as the site and GitHub make them."""
    without_code = re.sub(r"(?ms)^ *```.*?^ *```", "", text)
    titles = re.findall(r"(?m)^#+ (.+)$", without_code)
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles}


def target(file: str) -> str:
    return (DOCS / file).read_text(encoding="utf-8")


def test_there_are_ten_questions_and_three_readers_ask_them() -> None:
    assert len(ROWS) == 10
    assert [row[0] for row in ROWS if row[0]] == ["a platform engineer", "an agent developer", "an auditor"]
    assert all(row[1].endswith("?") for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1])
def test_each_question_leads_to_a_heading_that_exists(row: list[str]) -> None:
    """One click from the start page to the place in the page; a second one only where the answer names a section."""
    links = LINK.findall(row[2])
    assert links
    for file, anchor in links:
        assert anchor in slugs(target(file)), f"{file}#{anchor}"


def test_every_other_link_of_the_start_page_leads_to_a_page() -> None:
    # The command line reference is generated with the site.
    for file, _ in LINK.findall(PAGE):
        assert file == "command-line.md" or (DOCS / file).is_file(), file


def test_every_page_of_the_documentation_is_one_or_two_clicks_from_the_start_page() -> None:
    first = {file for file, _ in LINK.findall(PAGE) if file.endswith(".md") and file != "command-line.md"}
    second = {link for file in first for link, _ in LINK.findall(target(file)) if "/" not in link}
    reached = first | second | {"index.md"}
    assert {page.name for page in DOCS.glob("*.md")} <= reached


def test_a_link_to_a_heading_that_does_not_exist_is_found() -> None:
    assert "prove-it" in slugs("# Page\n\n## Prove it\n")
    assert "prove-it" not in slugs("```sh\n# Prove it\n```\n")
