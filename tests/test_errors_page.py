"""docs/errors.md has every sentence that the code says when it refuses or fails, and no other."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs_site"))

from errors_code import CALLER_FILES, caller_sentences, files, log_events, token_reasons  # noqa: E402
from errors_page import PAGE, messages, rows, written  # noqa: E402

TEXT = PAGE.read_text(encoding="utf-8")
WRITTEN_BY_HAND = {
    "What a client reads": caller_sentences,
    "Reasons for a 401": token_reasons,
    "The log": log_events,
}
GENERATED = re.findall(r"<!-- generated: (\w+) -->", TEXT)
# The errors whose sentences reach a client or a model.
CALLER_ERRORS = {
    *("ArgumentsError", "RefusedError", "WithheldError", "MisconfiguredError", "UnavailableError", "TenancyError"),
    *("LimitError", "MCPError", "ErrorData"),
}
# Messages without a semicolon say what is allowed, or end with the words of what failed.
SAYS_WHAT_IS_ALLOWED = re.compile(r"\b(must|requires|use|write|name|are|is written)\b|: …|HTTP ….$|^documents: |^audit")


def test_the_generated_tables_are_what_the_code_says() -> None:
    assert written(TEXT) == TEXT, "docs/errors.md differs from the code; run `make errors-page`"


@pytest.mark.parametrize("heading", WRITTEN_BY_HAND)
def test_every_sentence_of_the_code_has_one_row_and_every_row_is_in_the_code(heading) -> None:
    said, shown = WRITTEN_BY_HAND[heading](), rows(TEXT, heading)
    assert sorted(set(said) - set(shown)) == [], "add a row to docs/errors.md"
    assert sorted(set(shown) - set(said)) == [], "remove the row from docs/errors.md, or correct it"
    assert len(shown) == len(set(shown)) >= 40


@pytest.mark.parametrize("heading", WRITTEN_BY_HAND)
def test_every_row_says_what_it_means_and_what_to_do(heading) -> None:
    section = TEXT.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    table = [line for line in section.splitlines() if line.startswith("| ")]
    columns = {line.replace("\\|", "").count("|") for line in table}
    assert columns == {table[0].count("|")}
    assert [line for line in table if re.search(r"\|\s*\|", line.replace("\\|", ""))] == []


def test_a_sentence_without_a_row_and_a_row_without_a_sentence_are_found() -> None:
    sentence = "The server is busy; nothing was read. Retry in a few seconds."
    changed = TEXT.replace(f"| {sentence} |", "| The server is idle. |")
    assert set(caller_sentences()) ^ set(rows(changed, "What a client reads")) == {sentence, "The server is idle."}
    assert written(TEXT.replace("| `policies` |", "| `polices` |")) == TEXT


def test_every_file_that_refuses_a_caller_is_read_for_the_page() -> None:
    read = set(files(*CALLER_FILES))
    others = {
        file
        for file in files("server/**/*.py")
        if not file.startswith(("server/dev/", "server/adoption/", "server/documents/upload/"))
        for node in ast.walk(ast.parse((ROOT / file).read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in CALLER_ERRORS
    }
    assert len(others) > 15
    assert others - read == set()


@pytest.mark.parametrize("group", [one for one in GENERATED if one not in {"adoption", "checks", "findings"}])
def test_every_message_of_a_command_says_what_to_do(group) -> None:
    without = [problem for problem, remedy in messages(group).items() if not remedy]
    assert [one for one in without if not SAYS_WHAT_IS_ALLOWED.search(one)] == []


def test_a_message_is_one_line() -> None:
    said = [*caller_sentences(), *log_events(), *token_reasons()]
    for group in GENERATED:
        said += [*messages(group), *messages(group).values()]
    assert [one for one in said if "\n" in one or "Traceback" in one] == []
