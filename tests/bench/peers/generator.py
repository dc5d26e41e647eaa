"""What sends the calls: wrk where it is installed, which leaves the processors to the servers, else `load.py`."""

import json
import os
import shutil
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from processes import Process

from peers.processor_time import seconds_of, seconds_of_children

# Where nothing was answered within a time up to this one, three times as long is tried.
_LONGEST_S: Final = 10
# One thread: connections are what counts, and the second processor is the servers'.
_SCRIPT: Final = """
local requests, number = {%s}, 0
request = function() number = number %% #requests + 1; return requests[number] end
done = function(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '\\n{"all_calls": %%d, "seconds": %%.6f, "bytes": %%d, "failed": %%d, "p50_ms": %%.4f, "p99_ms": %%.4f}\\n',
    summary.requests, summary.duration / 1e6, summary.bytes, failed,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
"""


@dataclass(frozen=True)
class Load:
    """What one measurement saw; `generator_s` is the CPU time of whoever sent the calls."""

    calls: int
    calls_per_s: float
    p50_ms: float
    p99_ms: float
    generator_s: float


class Generator(Protocol):
    """Sends `requests` in turn on each of `clients` connections, and the next one when the answer is there."""

    name: str

    def run(self, port: int, requests: list[str], clients: int, seconds: float, answer_bytes: int) -> Load:
        """Return what came of it; RuntimeError when an answer is not what the first one was."""
        ...


class Wrk:
    """wrk, which looks at status and length of the answers alone; so their size is compared with a checked one."""

    name = "wrk"

    def __init__(self, program: str, directory: Path) -> None:
        """Keep the scripts in `directory`."""
        self._program: Final = program
        self._script: Final = directory / "wrk.lua"

    def run(self, port: int, requests: list[str], clients: int, seconds: float, answer_bytes: int) -> Load:
        """Return what came of it; wrk takes whole seconds."""
        self._script.write_text(_SCRIPT % ", ".join(_lua(request) for request in requests))
        before = seconds_of_children()
        answer = self._answer(port, clients, max(1, round(seconds)))
        spent = seconds_of_children() - before
        size = answer["bytes"] / answer["all_calls"]
        if not 0.9 < size / answer_bytes < 1.1:
            raise RuntimeError(f"answers of {size:.0f} bytes, and the one that was checked had {answer_bytes}")
        per_s = answer["all_calls"] / answer["seconds"]
        return Load(answer["all_calls"], per_s, answer["p50_ms"], answer["p99_ms"], spent)

    def _answer(self, port: int, clients: int, seconds: int) -> dict[str, Any]:
        """Return wrk's figures; where the time was too short for a first answer, as on a busy machine, try longer."""
        command = [self._program, "-t1", f"-c{clients}", f"-d{seconds}s", "-s", str(self._script)]
        done = subprocess.run(
            [*command, f"http://127.0.0.1:{port}/"], capture_output=True, text=True, timeout=seconds + 60, check=False
        )
        answer: dict[str, Any] = json.loads(
            next((line for line in done.stdout.splitlines() if line.startswith("{")), '{"failed": 1}')
        )
        if answer["failed"]:
            raise RuntimeError(f"wrk saw failed calls: {answer} {done.stderr.strip()}")
        if not answer["all_calls"] and seconds <= _LONGEST_S:
            return self._answer(port, clients, 3 * seconds)
        if not answer["all_calls"]:
            raise RuntimeError(f"no answer within {seconds} s")
        return answer


class OurOwn:
    """tests/bench/load.py, which looks into every answer and takes several times the CPU time of wrk."""

    name = "load.py"

    def __init__(self, stack: ExitStack, directory: Path) -> None:
        """Start it; it ends with `stack`."""
        self._process: Final = Process("load.py", environment=dict(os.environ), log=directory / "load.log")
        stack.callback(self._process.stop)

    def run(self, port: int, requests: list[str], clients: int, seconds: float, answer_bytes: int) -> Load:
        """Return what came of it."""
        del answer_bytes
        job: dict[str, Any] = {"url": f"http://127.0.0.1:{port}", "requests": requests, "clients": clients}
        before = seconds_of(self._process.pid)
        answer = json.loads(self._process.ask(json.dumps({**job, "seconds": seconds})))
        spent = seconds_of(self._process.pid) - before
        if "error" in answer:
            raise RuntimeError(answer["error"])
        figures = answer["all_calls"], answer["calls_per_s"], answer["p50_ms"], answer["p99_ms"]
        return Load(*figures, spent)


def generator(stack: ExitStack, directory: Path) -> Generator:
    """Return the one that takes least of this machine."""
    program = shutil.which("wrk")
    return Wrk(program, directory) if program else OurOwn(stack, directory)


def _lua(text: str) -> str:
    """Return a Lua string; its escapes of bytes are decimal."""
    return '"' + "".join(f"\\{byte:03d}" for byte in text.encode()) + '"'
