"""What a serving process writes: one JSON object a line, whatever it was sent, and never a token or an argument."""

import json
import re
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from support.issuer import Issuer
from support.real_server import beside

from server.dev.stack import Stack

# A line break, a colour, a bidirectional override, a line separator, and the end of a JSON string.
HOSTILE = '\r\n{"event":"forged"}\n\x1b[31m\u202e\u2028"}\x00'
SECRET = "canary-5f0b1c"


@dataclass
class Process:
    """A server in a process of its own, and the file that holds what it wrote."""

    url: str
    log: Path
    issuer: Issuer

    def lines(self) -> list[str]:
        return self.log.read_bytes().decode("utf-8", "strict").split("\n")[:-1]

    def lines_after(self, before: int, wanted: int, having: str = "") -> list[str]:
        """Return the lines after the first `before` that contain `having`, once there are enough of them.

        A line is written after its answer: that of an earlier test's last request may come after `before` was counted.
        """
        deadline = time.monotonic() + 5
        while len(lines := [line for line in self.lines()[before:] if having in line]) < wanted:
            assert time.monotonic() < deadline, self.lines()[before:]
            time.sleep(0.01)
        return lines


@pytest.fixture(scope="module")
def process(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Generator[Process]:
    with beside(stack, tmp_path_factory.mktemp("serve"), audit=None) as server:
        server.start()
        server.ready()
        yield Process(f"{server.url}/mcp", server.logged, server.issuer)


def test_nothing_that_is_sent_leaves_more_than_one_json_line_or_any_secret(process: Process) -> None:
    """R3, R64, R104, R105."""
    issuer = process.issuer
    good = issuer.token(client_id=f"client{HOSTILE}")
    refused = [issuer.token(exp=1), issuer.token(sub=f"x{HOSTILE}"), issuer.token(header={"kid": f"k{HOSTILE}"})]
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
    bodies = [
        {**body, "params": {"name": "query_claims", "arguments": {"customer_name": SECRET}}},
        {**body, "params": {"name": "query_claims", "arguments": {f"{SECRET}{HOSTILE}": good}}},
        {**body, "params": {"name": f"{SECRET}{HOSTILE}", "arguments": {}}},
        {**body, "method": f"{SECRET}{HOSTILE}"},
        {**body, "method": f"notifications/{SECRET}{HOSTILE}", "id": None},
        {"jsonrpc": "2.0", "method": f"notifications/{SECRET}{HOSTILE}"},
        {**body, "access_token": good, "password": SECRET},
        [good, SECRET],
    ]
    before = len(process.lines())
    with httpx2.Client() as http:
        for era in ("2025-11-25", "2026-07-28", SECRET):
            for one in bodies:
                for token in (good, *refused, f"{SECRET}.{SECRET}.{SECRET}"):
                    http.post(
                        f"{process.url}?access_token={good}&note={SECRET}",
                        content=json.dumps(one).encode(),
                        headers={
                            "authorization": f"Bearer {token}",
                            "content-type": "application/json",
                            "accept": "application/json",
                            "mcp-protocol-version": era,
                            "mcp-name": SECRET,
                            "cookie": good,
                            "referer": f"https://x/?access_token={good}",
                            "user-agent": SECRET,
                        },
                    )
        http.request(SECRET.upper().replace("-", ""), process.url)
        http.get(process.url, headers={"origin": f"https://{SECRET}"})
    # Refusals of callers that nobody authenticated are counted; those with a verified token are lines of their own.
    lines = process.lines_after(before, 3 * len(bodies))
    for line in lines:
        assert json.loads(line)["event"] != "forged"
        assert re.fullmatch(r"[ -~]+", line), line
    written = "\n".join(lines)
    assert SECRET not in written.lower()
    for token in (good, *refused):
        assert token.split(".")[1] not in written
        assert token.split(".")[2] not in written


def test_a_refused_host_is_logged_quoted_and_cut(process: Process) -> None:
    """R104: an operator must see which name a proxy sends, and a caller must not be able to write the log."""
    before = len(process.lines())
    hosts = ["tg", "other.example:8000", 'a\\nb"}', "x" * 5_000]
    for number, host in enumerate(hosts, 1):
        # Each from a network of its own: of one network, the first in ten seconds is written with its detail.
        with httpx2.Client(transport=httpx2.HTTPTransport(local_address=f"127.77.{number}.1")) as http:
            assert http.post(process.url, headers={"host": host}).status_code == 421
    lines = [json.loads(line) for line in process.lines_after(before, len(hosts), '"Host ')]
    assert [line["status"] for line in lines] == [421] * len(hosts)
    assert [line["cause"] for line in lines] == [f"Host {host[:64]!a}" for host in hosts]


def test_a_request_is_one_line_that_shows_who_and_what(process: Process) -> None:
    """R103: times are UTC (R108)."""
    before = len(process.lines())
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "whoami", "arguments": {}}}
    headers = {"authorization": f"Bearer {process.issuer.token()}", "accept": "application/json"}
    assert httpx2.post(process.url, json=body, headers=headers).status_code == 200
    (line,) = [json.loads(line) for line in process.lines_after(before, 1, '"whoami"')]
    told = ("status", "issuer", "subject", "tenant", "tool", "outcome")
    assert [line[name] for name in told] == [200, process.issuer.url, "somebody", "broker-a", "whoami", "answered"]
    assert line["timestamp"].endswith("Z")


def test_a_server_without_an_audit_trail_says_so_once(process: Process) -> None:
    said = [line for line in process.lines() if "audit trail" in line]
    assert [json.loads(line)["level"] for line in said] == ["warning"]
