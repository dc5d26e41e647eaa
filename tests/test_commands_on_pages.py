"""Every `tenantgate` command that a page names exists, and has the options that the page gives it."""

import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from server.__main__ import cli

ROOT = Path(__file__).parents[1]
PAGES = [
    *sorted((ROOT / "docs").glob("*.md")),
    *(ROOT / f"{name}.md" for name in ("README", "SECURITY", "CONTRIBUTING")),
]
# In a block of code: a line that begins with the command. In a text: what stands between backticks.
IN_A_BLOCK = re.compile(r"(?m)^\s*(?:\$ )?(tenantgate [a-z][^\n#|&>]*)")
IN_A_TEXT = re.compile(r"`(tenantgate\s[a-z][^`]*)`")
BLOCK = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
COMMANDS = get_command(cli)


def commands(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    blocks, rest = BLOCK.findall(text), BLOCK.sub("", text)
    return [one for block in blocks for one in IN_A_BLOCK.findall(block)] + IN_A_TEXT.findall(rest)


def help_of(command: str) -> tuple[list[str], str]:
    """Return the options that are given, and the help of the verb."""
    # `keys add|list|retire` names three.
    words = shlex.split(command.replace("…", "").split("|")[0].rstrip(" \\"))[1:]
    verbs: list[str] = []
    inside: Any = COMMANDS
    while words and words[0] in getattr(inside, "commands", {}):
        verbs.append(words.pop(0))
        inside = inside.commands[verbs[-1]]
    assert verbs, f"there is no such verb: {command}"
    assert not hasattr(inside, "commands") or not words or words[0].startswith("--"), f"no such verb: {command}"
    return [word.partition("=")[0] for word in words if word.startswith("--")], shown_of(*verbs)


@cache
def shown_of(*verbs: str) -> str:
    shown = CliRunner().invoke(cli, [*verbs, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, verbs
    return shown.stdout


def require(command: str) -> None:
    options, shown = help_of(command)
    for option in options:
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", shown), f"{command} has no option {option}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_command_exists_with_its_options(page: Path) -> None:
    for command in commands(page):
        require(command)


def test_the_pages_for_operators_name_the_verbs_that_operate() -> None:
    text = " ".join(command for name in ("operations.md", "scaling.md") for command in commands(ROOT / "docs" / name))
    for verb in ("keys add", "keys retire", "audit verify", "audit reconcile", "tenants deactivate", "doctor --admin"):
        assert verb in text


@pytest.mark.parametrize("command", ["tenantgate operate", "tenantgate keys change", "tenantgate keys add --force"])
def test_a_command_that_does_not_exist_is_found(command: str) -> None:
    with pytest.raises(AssertionError):
        require(command)
