"""docs/settings.md has every setting, with its type, default and variable, as the code has them."""

import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from server.setting_names import check_variable, field_at
from server.settings import PREFIX, Settings

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "docs_site"))

from settings_page import PAGE, meanings, sections, without_meaning, written  # noqa: E402

TEXT = PAGE.read_text(encoding="utf-8")
KEYS = [(section.name, key) for section in sections() for key in section.fields]


def test_the_page_is_what_the_code_says() -> None:
    assert written(TEXT) == TEXT, "docs/settings.md is not as the code is; run `make settings-page`"


def test_every_setting_says_what_it_means() -> None:
    assert without_meaning(TEXT) == []


def test_every_setting_of_the_code_is_one_that_the_page_knows_how_to_find() -> None:
    """The tables are made by walking the settings; this walks them in another way."""
    assert len(KEYS) > 60
    for name, key in KEYS:
        if name != "issuers":
            assert field_at(Settings, [part for part in (name, key) if part]) is not None
            check_variable(Settings, PREFIX + "__".join(part for part in (name, key) if part).upper(), PREFIX, "[]")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (("| `pool_size` | whole number, 1 to 200 |", "| `pool_size` | whole number |"), "differs"),
        (("`TENANTGATE_DATABASE__IAM`", "`TENANTGATE_DATABASE__AWS`"), "differs"),
        (("| `keep_alive_s` |", "| `keep_alive` |"), "differs"),
        (("where the log is kept", ""), "same"),
    ],
    ids=["a type", "a variable", "a key", "nothing"],
)
def test_a_page_that_says_otherwise_is_found(change, found) -> None:
    other = TEXT.replace(*change)
    assert (written(other) != other) is (found == "differs")


def test_a_setting_that_the_page_does_not_have_gets_its_row_and_its_section() -> None:
    row = next(line for line in TEXT.splitlines(keepends=True) if line.startswith("| `keep_alive_s` |"))
    assert row in written(TEXT.replace(row, ""))
    section = TEXT[TEXT.index("## `[connections]`") : TEXT.index("## `[audit]`")]
    assert row in written(TEXT.replace(section, ""))


class Example(BaseModel):
    explained: int = 1
    """what it means,
    on two lines"""
    unexplained: int = 2
    last: str = "a|b"
    """one | other"""


def test_the_meaning_of_a_setting_is_the_text_below_it() -> None:
    assert meanings(Example) == {"explained": "what it means, on two lines", "last": r"one \| other"}
    row = "| `keep_alive_s` |"
    line = next(line for line in TEXT.splitlines() if line.startswith(row))
    assert without_meaning(line.replace(line.split("|")[-2], " ")) == ["keep_alive_s"]
