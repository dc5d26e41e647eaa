"""Two workers of a real server: whatever is done to their trails, nothing is unrecorded, and verify names it."""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest
from support.audit import KEY, PUBLIC, breaks
from support.real_server import RealServer, beside

from server.audit.files import trail_files
from server.audit.verify import verify
from server.dev.stack import Stack

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "query_claims", "arguments": {}}}


@dataclass
class TwoWorkers:
    server: RealServer
    answered: set[str] = field(default_factory=set)

    @property
    def trail(self) -> Path:
        return self.server.trail

    def call(self) -> int:
        """Call once on a connection of its own, so that either worker may answer; 0 when the connection broke."""
        headers = {"authorization": f"Bearer {self.server.issuer.token()}", "accept": "application/json"}
        try:
            response = httpx2.post(f"{self.server.url}/mcp", json=CALL, headers=headers, timeout=20)
        except httpx2.HTTPError:
            return 0
        if response.status_code == 200:
            self.answered.add(response.headers["x-request-id"])
        return response.status_code

    def until(self, reached: Callable[[], bool]) -> Counter[int]:
        """Call until something is so."""
        seen = Counter[int]()
        deadline = time.monotonic() + 60
        while not reached():
            assert time.monotonic() < deadline, seen
            seen[self.call()] += 1
        return seen

    def worker_of(self, name: str) -> int:
        """Return the process that writes a trail, as its last `begin` says."""
        lines = (json.loads(line) for line in (self.trail.with_name(name)).read_text().splitlines())
        return [one["process"] for one in lines if one.get("event") == "begin"][-1]

    def recorded(self) -> set[str]:
        lines = (json.loads(line) for file in trail_files(self.trail) for line in file.read_text().splitlines())
        return {one["request"] for one in lines if one.get("status") == 200}

    def has_grown(self, *names: str) -> Callable[[], bool]:
        """Return a function that says whether each trail has a record more than now."""
        before = [self.size(name) for name in names]
        return lambda: all(self.size(name) > was for name, was in zip(names, before, strict=True))

    def size(self, name: str) -> int:
        file = self.trail.with_name(name)
        return file.stat().st_size if file.exists() else 0

    def stop(self) -> None:
        self.server.stop()


@pytest.fixture
def workers(stack: Stack, tmp_path: Path) -> Iterator[TwoWorkers]:
    audit = {"path": "trails/audit.jsonl", "signing_key": KEY.text(), "checkpoint_records": 5}
    with beside(stack, tmp_path, workers=2, limits=None, audit=audit) as server:
        server.start()
        running = TwoWorkers(server)
        running.until(lambda: running.size("audit.jsonl") > 0 and running.size("audit.1.jsonl") > 0)
        yield running


@pytest.mark.slow
def test_what_is_done_to_the_trails_of_two_workers_is_named_and_nothing_is_lost(workers: TwoWorkers) -> None:
    both = ("audit.jsonl", "audit.1.jsonl")
    workers.until(workers.has_grown(*both))

    # Killed: another worker takes the name, continues its file, and signs what the dead one left.
    os.kill(workers.worker_of("audit.1.jsonl"), signal.SIGKILL)
    killed = workers.worker_of("audit.1.jsonl")
    workers.until(lambda: workers.worker_of("audit.1.jsonl") != killed)
    workers.until(workers.has_grown(*both))
    assert breaks(workers.trail) == []
    assert workers.answered <= workers.recorded()

    # Moved, as logrotate does: no call is refused.
    workers.trail.rename(workers.trail.with_name("audit.jsonl.1"))
    assert workers.until(workers.has_grown(*both)).keys() == {200}
    assert breaks(workers.trail) == []
    assert workers.answered <= workers.recorded()

    # Deleted, and replaced by a copy: refused until it can be written again, and named ever after.
    saved = workers.recorded()
    workers.trail.unlink()
    copy = workers.trail.with_name("copy")
    copy.write_bytes(workers.trail.with_name("audit.1.jsonl").read_bytes())
    copy.replace(workers.trail.with_name("audit.1.jsonl"))
    refused = [workers.call() for _ in range(10)]
    assert 503 in refused
    workers.trail.with_name("audit.1.jsonl").rename(workers.trail.with_name("foreign"))
    workers.until(lambda: all(workers.size(name) for name in both))
    workers.until(workers.has_grown(*both))
    workers.stop()
    assert workers.answered <= workers.recorded() | saved
    found = {
        one.name: one.broken and (one.broken.file.name, one.broken.line, one.broken.kind)
        for one in verify(workers.trail, PUBLIC)
    }
    assert found == {"audit.jsonl": ("audit.jsonl", 1, "missing"), "audit.1.jsonl": ("audit.1.jsonl", 1, "missing")}
