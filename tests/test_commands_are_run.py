"""Every block of commands on a page names the tests that run it, or says why it is not run here."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from server.__main__ import cli

ROOT = Path(__file__).parents[1]
PAGES = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / f"{name}.md" for name in ("README", "SECURITY", "CONTRIBUTING")),
]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
FENCE = re.compile(r"^ *```([^\n]*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
# The line before a block, which no reader sees.
MARK = re.compile(r" *<!-- (?:run by (?P<by>[^;\n]+?))?(?:; )?(?:not run here: (?P<why>[^\n]+))? -->")
VERBS = re.compile(r"(?m)(?:^|[\s/(])tenantgate ([a-z]+(?: +[a-z]+)?)\b")
COMMANDS: Any = get_command(cli)
SHELLS = {"sh", "bash", "shell", "console"}


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    text: str
    mark: re.Match[str] | None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, text: str) -> list[Block]:
    found: list[Block] = []
    for fence in FENCE.finditer(text):
        before = text[: fence.start()].splitlines()
        mark = MARK.fullmatch(before[-1]) if before else None
        found.append(Block(page, len(before) + 1, fence[1].strip(), fence[2], mark))
    return found


def problem(block: Block) -> str:
    """Return what is wrong with a block, or nothing."""
    if " " in block.language:
        return "the site takes a fence for one only if a language alone stands behind it"
    if block.language not in SHELLS:
        return "" if block.language else "the block has no language; write sh, text, or what it is"
    if block.mark is None or not (block.mark["by"] or block.mark["why"]):
        return "no line before the block says which test runs it, or why none does"
    runners = re.split(r", | and ", block.mark["by"]) if block.mark["by"] else []
    if missing := [one for one in runners if not (one.startswith("make ") or (ROOT / one).is_file())]:
        return f"there is no {missing[0]}"
    texts = [run_in(ROOT / one) for one in runners if not one.startswith("make ")]
    if not texts or any(block.page.name in text for text in texts):
        return ""
    for verb in verbs(block.text):
        if not any(all(re.search(rf"\b{word}\b", text) for word in verb) for text in texts):
            return f"none of its tests runs tenantgate {' '.join(verb)}"
    return ""


def run_in(test: Path) -> str:
    """Return a test's text, and that of the pages whose commands it takes."""
    text = test.read_text(encoding="utf-8")
    return text + "".join(page.read_text(encoding="utf-8") for page in PAGES if page.name in text)


def verbs(text: str) -> list[list[str]]:
    """Return the verb of each command of tenantgate, two words for one of a group."""
    found = [words.split() for words in VERBS.findall(text)]
    return [words[:2] if hasattr(COMMANDS.commands[words[0]], "commands") else words[:1] for words in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_commands_is_run_by_a_test_or_says_why_not(page: Path) -> None:
    wrong = {str(block): problem(block) for block in blocks(page, page.read_text(encoding="utf-8"))}
    assert {place: why for place, why in wrong.items() if why} == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```sh\nmake test\n```\n", "no line before the block"),
        ("<!-- -->\n```sh\nmake test\n```\n", "no line before the block"),
        ("```\nmake test\n```\n", "no language"),
        ("```sh title=x\nmake test\n```\n", "a language alone"),
        ("<!-- run by tests/test_nothing.py -->\n```sh\nls\n```\n", "there is no tests/test_nothing.py"),
        (
            "<!-- run by tests/test_merkle.py -->\n```sh\ntenantgate tenants add acme\n```\n",
            "runs tenantgate tenants add",
        ),
    ],
)
def test_a_block_that_nobody_runs_is_found(text: str, expected: str) -> None:
    [block] = blocks(ROOT / "docs" / "example.md", text)
    assert expected in problem(block)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_and_module_that_a_page_names_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"(?:^|`)make ([a-z][a-z-]*)", text, re.MULTILINE):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), f"make {target}"
    for module in re.findall(r"python -m (client_demo[\w.]*|server[\w.]*)", text):
        place = ROOT / module.replace(".", "/")
        assert place.with_suffix(".py").is_file() or (place / "__main__.py").is_file(), module
    for module, command in re.findall(r"python -m (client_demo\.\w+)([^\n`]*)", text):
        source = (ROOT / module.replace(".", "/")).with_suffix(".py").read_text(encoding="utf-8")
        for option in re.findall(r" --([a-z-]+)", command):
            assert re.search(rf"(?m)^    {option.replace('-', '_')}: ", source), f"{module} --{option}"
