"""What operators change is in the audit trail, or is not done."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support.audit import KEY, breaks

from server.dev.stack import Stack

ROOT = Path(__file__).parents[1]


@pytest.fixture
def tenantgate(stack: Stack, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Return a function that runs a verb with an audit trail in a folder of its own."""
    config = tmp_path / "settings.toml"
    config.touch(mode=0o600)
    config.write_text(
        f'[database]\nadmin_url = "{stack.admin_url}"\n[audit]\npath = "audit.jsonl"\nsigning_key = "{KEY.text()}"\n'
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "server", *arguments, "--config", str(config)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    return run


def test_a_verb_that_changes_something_is_recorded_with_who_and_what_came_of_it(tenantgate, tmp_path) -> None:
    person = ("https://issuer.example.com", "somebody", "broker-a")
    assert tenantgate("tenants", "map", *person).returncode == 0
    assert tenantgate("tenants", "unmap", *person).returncode == 0
    assert tenantgate("tenants", "map", *person[:2], "no-such-tenant").returncode == 1
    assert tenantgate("tenants", "list").returncode == 0
    records = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    did = [(one["did"], one["outcome"]) for one in records if one.get("event") == "administration"]
    assert did == [
        ("tenants map", "begun"),
        ("tenants map", "done"),
        ("tenants unmap", "begun"),
        ("tenants unmap", "done"),
        ("tenants map", "begun"),
        ("tenants map", "StartupError"),
    ]
    (first, *_) = (one for one in records if one.get("event") == "administration")
    assert first["with"][:3] == list(person)
    assert first["by"]
    assert breaks(tmp_path / "audit.jsonl") == []


def test_what_cannot_be_recorded_is_not_done(tenantgate, tmp_path, admin) -> None:
    (tmp_path / "audit.jsonl").mkdir()
    refused = tenantgate("tenants", "map", "https://issuer.example.com", "somebody", "broker-a")
    assert refused.returncode == 1
    assert refused.stderr.startswith("tenantgate: the audit trail")
    assert len(refused.stderr.splitlines()) == 1
    assert not admin.execute(
        "SELECT 1 FROM tenancy.user_tenants WHERE issuer = 'https://issuer.example.com'"
    ).fetchall()
