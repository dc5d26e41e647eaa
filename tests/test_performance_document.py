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


def test_a_ratio_is_taken_within_a_round_and_judged_by_its_median(written) -> None:
    """The machine was four times as slow in the third round, for both."""
    del written
    ratios = importlib.import_module("peers.ratios")

    def measured(cpu_us: float) -> dict[str, float]:
        return {"calls_per_s": 1e6 / cpu_us, "cpu_us": cpu_us, "postgres_us": cpu_us, "p99_ms": 1.0}

    ours, others = [measured(70), measured(80), measured(280)], [measured(100), measured(100), measured(400)]
    for who, met in ((ours, True), (others, False)):
        result = ratios.summary({"tenantgate/8": who, "MCP Toolbox/8": others})
        by = {one["what"]: one for one in result["targets"]}
        cpu = by["tenantgate to MCP Toolbox, CPU of a call, server, 8 clients"]
        assert (cpu["ratio"], cpu["spread"], cpu["met"]) == ((0.7, [0.7, 0.8], True) if met else (1.0, [1.0, 1.0], met))
        # What was not run is not judged.
        assert not any("FastMCP" in what or "32 clients" in what for what in by)
