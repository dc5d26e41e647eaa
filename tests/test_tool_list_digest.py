"""R95: what models are told about the tools is pinned, word for word; a change is seen before it is released.

After a change that is meant, run this file as a program; the difference of tests/tool_list.json then shows the reviewer
what changed.
"""

import json
from pathlib import Path
from typing import Final

import pytest
from conftest import MODERN

SNAPSHOT: Final = Path(__file__).with_name("tool_list.json")
REMEDY: Final = f"differs from {SNAPSHOT.name}; if that is meant, run `.venv/bin/python tests/{Path(__file__).name}`"


@pytest.mark.parametrize("era", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", MODERN])
def test_the_tool_list_is_the_one_that_was_reviewed(caller, era) -> None:
    """R95."""
    served = caller("mike-broker-a").post("tools/list", era=era).json()["result"]["tools"]
    reviewed = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    assert [tool["name"] for tool in served] == [tool["name"] for tool in reviewed], REMEDY
    for tool, pinned in zip(served, reviewed, strict=True):
        assert tool == pinned, f"{tool['name']} {REMEDY}"


def test_every_caller_gets_the_same_tool_list(caller) -> None:
    """R77."""
    people = ("mike-broker-a", "emma-broker-b", "nora-no-tier", "omar-unmapped")
    assert len({caller(person).post("tools/list").text for person in people}) == 1


if __name__ == "__main__":
    from support.sample_pack import sample_offer

    described = [
        tool.described.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in sample_offer().tools
    ]
    SNAPSHOT.write_text(json.dumps(described, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
