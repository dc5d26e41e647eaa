"""The help of every verb: plain words, an example that works, and the same names for the same options (R184)."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from support.quiet_runner import QuietRunner
from support.terminal import shown_on_terminal, verb
from typer.main import get_command

from server.__main__ import cli


def verbs(group: Any = None, names: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each verb that does something, with its name in words."""
    found: Any = group or get_command(cli)
    if not hasattr(found, "commands"):
        yield names, found
        return
    for name, inner in found.commands.items():
        yield from verbs(inner, (*names, name))


VERBS = dict(verbs())


def shown(names: tuple[str, ...], columns: int = 80) -> str:
    return QuietRunner().invoke(cli, [*names, "--help"], terminal_width=columns, prog_name="tenantgate").output


def example_of(names: tuple[str, ...]) -> str:
    (found,) = re.findall(r"^  Example: (.+)$", shown(names), re.MULTILINE)
    return found


@pytest.mark.parametrize("names", VERBS, ids=" ".join)
def test_the_help_has_an_example_on_one_line_that_the_verb_accepts(names) -> None:
    example = example_of(names)
    words = shlex.split(example.partition(" > ")[0])
    assert words[: 1 + len(names)] == ["tenantgate", *names]
    # The whole command is there: a line that was wrapped would end in the middle of one.
    assert example in " ".join(shown(names, 200).split())
    VERBS[names].make_context(names[-1], words[1 + len(names) :])


@pytest.mark.parametrize("names", VERBS, ids=" ".join)
def test_every_option_and_argument_says_what_it_is_and_names_no_type_of_python(names) -> None:
    for parameter in VERBS[names].params:
        assert parameter.help, f"{parameter.name} has no help"
    text = shown(names)
    assert "<" not in text
    assert not re.search(r"\{[a-z]", text)


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_the_help_of_every_verb_fits_the_terminal(columns) -> None:
    for names in VERBS:
        # The name of an option is never cut, nor an example.
        long = [line for line in shown(names, columns).splitlines() if len(line) > columns]
        assert all(re.match(r"  --?\w|  Example: |.*https?://", line) for line in long), long


def test_an_option_has_one_help_everywhere() -> None:
    same = ("--config", "--file", "--from", "--to", "--public-key", "--folder")
    for option in same:
        texts = {
            (one.help, one.metavar)
            for names, command in VERBS.items()
            for one in command.params
            # `init` writes the file that the others read; `tenants sync` reads a table.
            if option in one.opts and names not in {("init",), ("tenants", "sync")}
        }
        assert len(texts) == 1, texts


def test_the_help_in_a_real_terminal_has_its_width_and_no_colours() -> None:
    said = shown_on_terminal(verb("documents", "check", "--help"), 40)
    assert "\x1b" not in said.raw
    assert max(map(len, said.lines)) <= 40
