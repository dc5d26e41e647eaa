"""Ten typical mistakes in a declaration are ten messages of one line that name the file, the key and the remedy."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from foreign.schema import FOLDER

from server.catalog.loading import load_catalog
from server.errors import CatalogError

MISTAKES = {
    one["name"]: one for one in tomllib.loads((FOLDER / "ten_mistakes.toml").read_text(encoding="utf-8"))["mistake"]
}
# What a remedy begins with; a message without one of these leaves the reader alone.
REMEDY = re.compile(r"\b(add|choose|correct|declare|leave|lower|make|must|remove|rename|say|set|write)\b")


@pytest.fixture
def catalog(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a file of a catalog and returns the settings that name its folder."""
    folder = tmp_path / "tools"
    folder.mkdir()

    def write(text: str) -> Path:
        (folder / "shop.toml").write_text(text, encoding="utf-8")
        config = tmp_path / "tenantgate.toml"
        config.write_text('catalog = ["tools"]\n', encoding="utf-8")
        return config

    return write


def test_there_are_ten_mistakes() -> None:
    assert len(MISTAKES) == 10


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_in_a_declaration_is_one_line_with_file_key_and_remedy(catalog, name: str) -> None:
    config = catalog(MISTAKES[name]["file"])
    with pytest.raises(CatalogError) as refused:
        load_catalog([str(config.parent / "tools")])
    (message,) = refused.value.problems
    assert "\n" not in message
    assert all(text in message for text in ["tools/shop.toml", *MISTAKES[name]["says"]]), message
    assert REMEDY.search(message), message


def test_the_verb_prints_each_mistake_on_a_line_of_its_own(catalog) -> None:
    config = catalog('[[table]]\nname = "orders"\ntenat = "x"\nscope = "a b"\ncolumns.a = { type = "text" }\n')
    command = [sys.executable, "-m", "server", "tools", "check", "--config", str(config)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (checked.returncode, checked.stdout) == (1, "")
    lines = checked.stderr.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("tools/shop.toml: table orders: ") and REMEDY.search(line) for line in lines), lines


@pytest.mark.parametrize("name", ["shop", "metering", "crm"])
def test_a_correct_declaration_is_reported_as_valid(catalog, name: str) -> None:
    config = catalog((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    command = [sys.executable, "-m", "server", "tools", "check", "--config", str(config)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
