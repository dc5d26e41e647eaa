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
        ("deploy/requirements.lock", 50),
        ("deploy/requirements-build.lock", 20),
        ("deploy/requirements-check.lock", 10),
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
