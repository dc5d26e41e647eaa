"""The command line as its users meet it: processes, exit codes, one line for each error."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psycopg
import pytest
from conftest import ACCEPT, MODERN

from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.stack import Stack

ROOT = Path(__file__).parents[1]
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("TENANTGATE_")}
MINIMAL = """
resource_url = "https://mcp.example.com/mcp"
[[issuers]]
issuer = "https://issuer.example.com"
audiences = ["https://mcp.example.com/mcp"]
[database]
url = "postgresql://app_user@127.0.0.1:1/claims"
context_keys = ["k1:MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="]
"""


def tenantgate(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "server", *arguments],
        cwd=ROOT,
        env=CLEAN | variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextmanager
def development(folder: Path, *arguments: str) -> Generator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "dev", "--json", "--port", "0", "--folder", str(folder), *arguments],
        cwd=ROOT,
        env=CLEAN,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process, json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(20)
        process.stdout.close()


@pytest.fixture
def folder(tmp_path: Path, stack: Stack, stack_folder: Path) -> Iterator[Path]:
    """A folder for a stack of its own; the sample's vectors are there already, for time's sake."""
    tmp_path.chmod(0o711)
    shutil.copytree(stack_folder / "vectors", tmp_path / "vectors")
    yield tmp_path
    EmbeddedPostgres(tmp_path / "postgres").remove()


def listens(url: str) -> bool:
    parts = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname, parts.port)) == 0


def gone(addresses: dict[str, Any], within_s: float = 5) -> bool:
    urls = [addresses[name] for name in ("mcp_url", "issuer", "knowledge_base_url", "database_url")]
    deadline = time.monotonic() + within_s
    while any(map(listens, urls)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(listens, urls))


def statuses_in(log: Path, wanted: int) -> list[int]:
    """Return the statuses of the requests in the log, which tells of each just after its answer has left."""
    deadline = time.monotonic() + 5
    statuses: list[int] = []
    while len(statuses) < wanted and time.monotonic() < deadline:
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        statuses = [line["status"] for line in lines if line["event"] == "request"]
    return statuses


def test_dev_prints_one_line_and_serves_both_eras_with_a_token_from_the_command_line(folder) -> None:
    with development(folder) as (process, addresses):
        assert set(addresses) == {"mcp_url", "issuer", "people", "database_url", "knowledge_base_url"}
        assert {person["name"] for person in addresses["people"]} >= {"mike-broker-a", "omar-unmapped"}
        with psycopg.connect(addresses["database_url"]) as login:
            assert login.execute("SELECT current_user").fetchone() == ("app_user",)
        token = tenantgate("token", "mike-broker-a", "--folder", str(folder)).stdout.strip()
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
        headers = {"accept": ACCEPT, "authorization": f"Bearer {token}"}
        legacy = httpx2.post(addresses["mcp_url"], json=body, headers=headers)
        assert len(legacy.json()["result"]["tools"]) == 4
        body["params"] = {
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": MODERN,
                "io.modelcontextprotocol/clientCapabilities": {},
            }
        }
        modern = httpx2.post(
            addresses["mcp_url"],
            json=body,
            headers=headers | {"mcp-protocol-version": MODERN, "mcp-method": "tools/list"},
        )
        assert modern.json()["result"]["resultType"] == "complete"
        anonymous = httpx2.post(addresses["mcp_url"], json=body)
        assert anonymous.status_code == 401
        assert "resource_metadata=" in anonymous.headers["www-authenticate"]
        assert statuses_in(folder / "server.log", 3) == [200, 200, 401]
        assert token not in (folder / "server.log").read_text()
        assert process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_that_dev_started(folder, number) -> None:
    with development(folder) as (process, addresses):
        process.send_signal(number)
        assert process.wait(20) == 0
        assert gone(addresses)


def test_a_killed_dev_leaves_nothing_that_blocks_the_next(folder) -> None:
    with development(folder) as (process, addresses):
        process.kill()
        process.wait(20)
        assert "no development server runs" in tenantgate("token", "mike-broker-a", "--folder", str(folder)).stderr
    with development(folder) as (process, addresses):
        assert listens(addresses["mcp_url"])
    assert gone(addresses)


def test_a_second_dev_says_that_one_is_running(folder) -> None:
    with development(folder) as (process, _):
        second = tenantgate("dev", "--port", "0", "--folder", str(folder))
        assert second.returncode == 1
        assert second.stderr.count("\n") == 1
        assert f"already running in this folder (pid {process.pid})" in second.stderr


def test_a_port_in_use_is_named_with_the_remedy(folder) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        result = tenantgate("dev", "--port", port, "--folder", str(folder))
        assert result.returncode == 1
        assert result.stderr.count("\n") == 1
        assert f"cannot listen on 127.0.0.1:{port}" in result.stderr
        assert "choose another port" in result.stderr


def test_dev_refuses_to_run_beside_production_settings(folder) -> None:
    result = tenantgate("dev", "--folder", str(folder), TENANTGATE_RESOURCE_URL="https://mcp.example.com/mcp")
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "unset TENANTGATE_RESOURCE_URL" in result.stderr


def test_a_token_needs_a_running_dev_and_a_known_person(folder) -> None:
    result = tenantgate("token", "mike-broker-a", "--folder", str(folder))
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "start one with `tenantgate dev`" in result.stderr
    with development(folder):
        result = tenantgate("token", "nobody", "--folder", str(folder))
        assert result.returncode == 1
        assert "mike-broker-a" in result.stderr


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ["resource_url", "issuers", "database"]),
        ("not toml", ["not valid TOML"]),
        (MINIMAL + "[surprise]\nx = 1\n", ["surprise", "not a tenantgate setting"]),
        (MINIMAL.replace("postgresql://", "mysql://"), ["database.url", "postgresql://user@host"]),
        (MINIMAL.replace("https://issuer", "http://issuer"), ["issuers.0.issuer", "https"]),
        (MINIMAL.replace('audiences = ["https://mcp.example.com/mcp"]', ""), ["issuers.0", "audiences"]),
        (MINIMAL.replace("MDEy", ""), ["database.context_keys", "32 bytes"]),
        ('allowed_hosts = ["*"]' + MINIMAL, ["allowed_hosts", "exact names"]),
        ("port = 0" + MINIMAL, ["port"]),
        (MINIMAL.replace("audiences =", 'algorithms = ["HS256"]\naudiences ='), ["issuers.0.algorithms"]),
    ],
)
def test_a_wrong_setting_is_one_line_that_names_the_key(tmp_path, text, names) -> None:
    file = tmp_path / "settings.toml"
    file.touch(mode=0o600)
    file.write_text(text)
    result = tenantgate("serve", "--config", str(file))
    assert (result.returncode, result.stderr.count("\n"), result.stdout) == (2, 1, "")
    assert "Traceback" not in result.stderr
    assert all(name in result.stderr for name in names), result.stderr


def test_a_wrong_variable_and_a_missing_file_are_named(tmp_path) -> None:
    result = tenantgate("serve", TENANTGATE_DATABSE__URL="postgresql://x")
    assert result.returncode == 2
    assert "TENANTGATE_DATABSE__URL is not a tenantgate setting" in result.stderr
    result = tenantgate("serve", "--config", str(tmp_path / "missing.toml"))
    assert result.returncode == 2
    assert "does not exist" in result.stderr


def test_no_secret_is_printed_with_a_wrong_setting(tmp_path) -> None:
    file = tmp_path / "settings.toml"
    file.touch(mode=0o600)
    file.write_text(MINIMAL.replace("postgresql://app_user", "mysql://app_user:hunter2").replace("k1:MDEy", "k1:MDE"))
    result = tenantgate("serve", "--config", str(file))
    assert result.returncode == 2
    assert "hunter2" not in result.stderr
    assert "MzQ1Njc4" not in result.stderr


def test_migrate_names_a_database_that_is_down(tmp_path) -> None:
    file = tmp_path / "settings.toml"
    file.touch(mode=0o600)
    file.write_text(MINIMAL)
    down = tenantgate("migrate", "--config", str(file), TENANTGATE_DATABASE__ADMIN_URL="postgresql://x@127.0.0.1:1/y")
    assert (down.returncode, down.stderr.count("\n")) == (1, 1)
    assert "cannot be reached" in down.stderr
    unset = tenantgate("migrate", "--config", str(file))
    assert (unset.returncode, unset.stderr.count("\n")) == (2, 1)
    assert "TENANTGATE_DATABASE__ADMIN_URL" in unset.stderr


@pytest.mark.parametrize("arguments", [("unknown",), ("serve", "--port", "many"), ("token",), ("dev", "--no-such")])
def test_wrong_usage_exits_with_2(arguments) -> None:
    result = tenantgate(*arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_the_installed_command_is_the_same_program() -> None:
    result = subprocess.run(
        [Path(sys.executable).parent / "tenantgate", "--help"], capture_output=True, text=True, check=True
    )
    for verb in ("dev", "serve", "migrate", "token"):
        assert verb in result.stdout
