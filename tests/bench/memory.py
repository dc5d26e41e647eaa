"""Memory and the start of `tenantgate serve`: `make bench ARGS=memory`; `--calls` sets how many calls, 200,000.

Memory is the resident memory of a worker process, with its audit trail and its metrics: at the start, after a tenth
of the calls, after all of them, and with ten thousand idle connections. The start is the time until the first
tools/call is answered. Where memory and time of the imports go is measured in a process of its own.
"""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final

from dataset import prepare
from peers.endpoint import whole_answer
from peers.generator import Generator, generator
from processes import PEOPLE, Process, free_port, issuer_running, person
from rich.console import Console
from run import ERAS, ROOT, call, settings_file
from serving import Start, imports_ms
from sockets import resident_mb
from surroundings import measured_on

from server.dev.folder import folder_lock
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.preparation import development_key

START_S: Final = 0.9
START_MB: Final = 100.0
GROWTH: Final = 1.1
IDLE: Final = 10_000
IDLE_MB: Final = 100.0
_DATABASE: Final = "claims_10k"
_CLIENTS: Final = 8
_LIMITS: Final = "[connections]\nmaximum = 12000\nper_person = 2000\nkeep_alive_s = 600\n"


def measured(directory: Path, say: Any, wanted: int, calls: int) -> dict[str, Any]:
    """Return seconds and megabytes; `wanted` starts are made, and `calls` calls of one of them."""
    with ExitStack() as stack:
        stack.enter_context(folder_lock(directory))
        postgres = stack.enter_context(EmbeddedPostgres(directory / "postgres"))
        issuer, resource = stack.enter_context(issuer_running(directory))
        key = development_key(directory / "context.key")
        url = prepare(postgres, key)[_DATABASE]
        file = settings_file(directory, "memory", issuer.url, resource, url, key)
        trail = directory / "memory-audit.jsonl"
        for old in directory.glob("memory-audit*"):
            old.unlink()
        kept = f'[audit]\npath = "{trail}"\nrotate_bytes = 4194304\n[telemetry]\nmetrics_port = {free_port()}\n'
        file.write_text(file.read_text() + _LIMITS + kept)
        requests = [call(ERAS[0], issuer.mint(person(number))) for number in range(PEOPLE)]
        sender = generator(stack, directory)
        about = measured_on(sender.name, wanted, 0, {})
        first = [_first_answer(file, directory, requests[0], say, number) for number in range(wanted)]
        start = Start(file, directory / "memory.log")
        stack.callback(start.stop)
        figures = _grown(start, requests, sender, calls, say)
        figures |= _idle(start, requests, directory, say)
        # The port of its metrics is free for the next start.
        start.stop()
        say("imports")
        spent = {"imports_ms": imports_ms(file, directory), "imports_mb": imported_mb(directory)}
    figures["first_answer_s"] = round(median(one["seconds"] for one in first), 3)
    figures["first_answer_cpu_s"] = round(median(one["cpu_s"] for one in first), 3)
    return {"measured_on": about(), "calls": calls, "figures": figures, "targets": _judged(figures, calls), **spent}


def _first_answer(settings: Path, directory: Path, request: str, say: Any, number: int) -> dict[str, float]:
    say(f"start {number + 1}")
    head, _, body = request.partition("\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.split("\r\n")[1:])
    start = Start(settings, directory / "memory-start.log")
    try:
        return {"seconds": start.until("POST", "/mcp", headers, body)[0], "cpu_s": start.cpu_s()}
    finally:
        start.stop()


def _grown(start: Start, requests: list[str], sender: Generator, calls: int, say: Any) -> dict[str, float]:
    """Return the memory after a first answer, after a tenth of the calls and after all."""
    start.until_ready()
    figures = {"start_mb": resident_mb(start.pid)}
    done, size = 0, len(whole_answer(start.port, requests[0]))
    for name, wanted in (("tenth_mb", calls // 10), ("all_mb", calls)):
        while done < wanted:
            say(f"{done} of {calls} calls")
            done += sender.run(start.port, requests, _CLIENTS, 5 if wanted - done > 5_000 else 1, size).calls
        figures[name] = resident_mb(start.pid)
    return {name: round(figure, 1) for name, figure in figures.items()}


def _idle(start: Start, requests: list[str], directory: Path, say: Any) -> dict[str, float]:
    """Return what idle connections add, and how many of them the server still holds at the end."""
    say(f"opening {IDLE} connections")
    before = resident_mb(start.pid)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    holder = Process("holder.py", environment=environment, log=directory / "holder.log")
    try:
        opened = json.loads(holder.ask(json.dumps({"port": start.port, "connections": IDLE, "requests": requests})))
        during = resident_mb(start.pid)
        held = json.loads(holder.ask("are they still open?"))
    finally:
        holder.stop()
    return {"idle_mb": round(during - before, 1), "idle_opened": opened["open"], "idle_held": held["open"]}


def imported_mb(directory: Path) -> dict[str, float]:
    """Return the resident memory that importing the server takes, by package, the dearest ones."""
    script = Path(__file__).parent / "import_memory.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False, cwd=directory
    )
    return json.loads(done.stdout) if done.returncode == 0 else {"failed": 0.0}


def _judged(figures: dict[str, float], calls: int) -> list[dict[str, Any]]:
    growth = figures["all_mb"] / figures["tenth_mb"]
    return [
        _target(
            "start to the first answer",
            f"≤ {START_S} s",
            f"{figures['first_answer_s']:.2f} s",
            figures["first_answer_s"] <= START_S,
        ),
        _target(
            "memory of a worker at its start",
            f"≤ {START_MB:.0f} MB",
            f"{figures['start_mb']:.0f} MB",
            figures["start_mb"] <= START_MB,
        ),
        _target(
            f"memory after {calls:,} calls, of that after {calls // 10:,}",
            f"≤ {GROWTH}",
            f"{growth:.2f} ({figures['tenth_mb']:.0f} to {figures['all_mb']:.0f} MB)",
            growth <= GROWTH,
        ),
        _target(
            f"{IDLE:,} idle connections",
            f"≤ {IDLE_MB:.0f} MB more, all held",
            f"{figures['idle_mb']:.0f} MB, {figures['idle_held']:,.0f} held",
            figures["idle_mb"] <= IDLE_MB and figures["idle_held"] == IDLE,
        ),
    ]


def _target(what: str, target: str, measured: str, met: bool) -> dict[str, Any]:
    return {"what": what, "target": target, "measured": measured, "met": met}


def show(result: dict[str, Any], console: Console) -> None:
    """Print the figures; plain text when piped."""
    for one in result["targets"]:
        missed = "" if one["met"] else "  MISSED"
        console.print(f"{one['what']}: {one['measured']} ({one['target']}){missed}", highlight=False)
    console.print(f"CPU time until the first answer: {result['figures']['first_answer_cpu_s']:.2f} s", highlight=False)
    for title, key in (("milliseconds", "imports_ms"), ("megabytes", "imports_mb")):
        lines = [f"{figure:10.1f}  {name}" for name, figure in result[key].items()]
        console.print(f"\n{title} to import, the dearest packages:", *lines, sep="\n", highlight=False)


def is_met(result: dict[str, Any]) -> bool:
    """Whether every target is met."""
    return all(one["met"] for one in result["targets"])
