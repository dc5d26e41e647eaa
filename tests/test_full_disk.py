"""A disk that is full: the log loses lines and nothing else, the audit trail stops the service and says so."""

import json
import logging
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from support.real_server import RealServer, beside

from server.audit.files import trail_files
from server.dev.stack import Stack
from server.logs import Lines, Repeated


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 KB, which only root can mount."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None:
        pytest.skip("a small file system needs root and mount (package mount)")
    mounted = subprocess.run([mount, "-t", "tmpfs", "-o", "size=256k", "tmpfs", place], check=False)
    if mounted.returncode:
        pytest.skip("this machine does not let root mount a file system")
    yield place
    subprocess.run(["umount", place], check=True)


def fill_up(place: Path) -> None:
    with (place / "filling").open("wb", buffering=0) as file:
        try:
            while file.write(bytes(4_096)) == 4_096:
                pass
        except OSError:
            pass


@pytest.fixture
def server(stack: Stack, small_disk: Path, tmp_path: Path) -> Iterator[RealServer]:
    """Stopped before the disk is taken away."""
    with beside(stack, tmp_path) as server:
        yield server


def serve(server: RealServer, trail: Path, log: Path) -> None:
    """Start with the audit trail and the log at the places given."""
    server.log_file = log
    server.write(audit={"path": str(trail)})
    server.start()
    server.ready()


def call(server: RealServer) -> httpx2.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "query_claims", "arguments": {}}}
    headers = {"authorization": f"Bearer {server.issuer.token()}", "accept": "application/json"}
    return httpx2.post(f"{server.url}/mcp", json=body, headers=headers, timeout=20)


def test_r106_a_full_disk_under_the_trail_stops_the_service_until_there_is_room(server, small_disk, tmp_path) -> None:
    """R106."""
    log = tmp_path / "log"
    serve(server, small_disk / "audit.jsonl", log)
    assert call(server).status_code == 200
    fill_up(small_disk)
    answers = [call(server) for _ in range(20)]
    # The last block of the file may have room for a few.
    refused = [one for one in answers if one.status_code != 200]
    assert [one.status_code for one in answers] == [200] * (20 - len(refused)) + [503] * len(refused)
    assert refused
    assert "cannot record" in refused[0].json()["error"]["message"]
    ready = httpx2.get(f"{server.url}/readyz")
    assert (ready.status_code, ready.json()["reason"]) == (503, "The audit trail cannot be written.")
    assert httpx2.post(f"{server.url}/mcp").status_code == 503
    logged = log.read_text()
    assert logged.count("the audit trail cannot be written") == 1
    assert "No space left on device" in logged
    (small_disk / "filling").unlink()
    server.ready()
    assert call(server).status_code == 200
    lines = [json.loads(line) for line in (small_disk / "audit.jsonl").read_text().splitlines()]
    assert sum(one.get("status") == 200 for one in lines) == 22 - len(refused)
    assert "the audit trail is written again" in log.read_text()


def test_a_full_disk_under_the_log_stops_nothing(server, small_disk, tmp_path) -> None:
    """R153."""
    serve(server, tmp_path / "audit.jsonl", small_disk / "log")
    fill_up(small_disk)
    assert [call(server).status_code for _ in range(20)] == [200] * 20
    assert httpx2.get(f"{server.url}/readyz").status_code == 200
    (small_disk / "filling").unlink()
    assert call(server).status_code == 200
    # A line is written after its answer.
    deadline = time.monotonic() + 5
    while "log lines were dropped" not in (small_disk / "log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    # A server of one worker is here already: SIGHUP begins a new file of the trail, and ends nothing.
    server.tell(signal.SIGHUP)
    deadline = time.monotonic() + 20
    while len(trail_files(tmp_path / "audit.jsonl")) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert call(server).status_code == 200


def test_a_log_that_cannot_be_written_says_afterwards_how_much_is_missing(tmp_path, monkeypatch) -> None:
    file = tmp_path / "log"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    lines = Lines(descriptor)
    real = os.write
    room = [3]

    def write(into: int, data: bytes) -> int:
        if not room:
            return real(into, data)
        kept = room.pop()
        if not kept:
            raise OSError(28, "No space left on device")
        return real(into, data[:kept])

    monkeypatch.setattr(os, "write", write)
    lines.write('{"a": 1}\n')
    room.append(0)
    lines.write('{"a": 2}\n')
    lines.write('{"a": 3}\n')
    os.close(descriptor)
    half, report, last = file.read_text().splitlines()
    assert half == '{"a'
    assert json.loads(report)["lines"] == 2
    assert json.loads(last) == {"a": 3}


def test_requests_that_no_parser_takes_are_one_line_per_interval() -> None:
    def record(message: str) -> logging.LogRecord:
        return logging.LogRecord("uvicorn.error", logging.WARNING, "", 0, message, (), None)

    repeated = Repeated("no", interval_s=1_000)
    assert [repeated.filter(record("no")) for _ in range(5)] == [True, False, False, False, False]
    assert repeated.filter(record("another"))
    repeated._next_at = 0.0
    later = record("no")
    assert repeated.filter(later)
    assert later.getMessage() == "no (4 more since the last)"
