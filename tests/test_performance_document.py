"""docs/performance.md says what docs/performance.json says, and nothing that was measured is written by hand."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def written() -> ModuleType:
    """The bench's own writer; its modules find each other as `make bench` lets them."""
    sys.path.insert(0, str(ROOT / "tests" / "bench"))
    try:
        return importlib.import_module("written")
    finally:
        sys.path.pop(0)


def test_each_section_is_what_its_measurement_gives(written) -> None:
    known = json.loads((DOCS / "performance.json").read_text(encoding="utf-8"))
    page = (DOCS / "performance.md").read_text(encoding="utf-8")
    assert set(known) == set(written.WRITTEN)
    assert written.rewritten(page, known) == page
    known["peers"]["targets"][0]["ratio"] += 1
    assert written.rewritten(page, known) != page


def test_the_picture_is_what_the_measurement_gives(written) -> None:
    known = json.loads((DOCS / "performance.json").read_text(encoding="utf-8"))
    picture = written.picture.drawn(known["peers"])
    assert (DOCS / "performance.svg").read_text(encoding="utf-8") == picture
    assert all(name.split("/")[0].split(",")[0] in picture for name in known["peers"]["figures"])


def test_a_page_without_the_place_for_a_section_is_refused(written) -> None:
    with pytest.raises(ValueError, match="no section between"):
        written.rewritten("# Performance\n", {"memory": {}})
