"""What one authorised caller notices of 5,000 connections and 5,000 requests a second without a token."""

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from processes import Process, issuer_running
from rich.console import Console
from run import ERAS, ROOT, call, settings_file
from serving import Start

from server.dev.folder import folder_lock
from server.dev.people import Person
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.preparation import development_key, prepare_database

CONNECTIONS: Final = 5_000
REQUESTS_PER_S: Final = 5_000
SOURCES: Final = 50
RATIO: Final = 10.0
DISK_BYTES: Final = 1_000_000
# The connections are open by then, and the flood has begun.
_OPENING_S: Final = 8
_CALLER: Final = Person("bench", "bench", "broker-a", ("regular",))


def measured(directory: Path, say: Any, seconds: float) -> dict[str, Any]:
    """Return the caller's figures without and with the flood, and how much the server wrote meanwhile."""
    with ExitStack() as stack:
        stack.enter_context(folder_lock(directory))
        postgres = stack.enter_context(EmbeddedPostgres(directory / "flood-postgres"))
        issuer, resource = stack.enter_context(issuer_running(directory))
        key = development_key(directory / "context.key")
        url = prepare_database(postgres, key, issuer.url)
        trail, log = directory / "flood-audit.jsonl", directory / "flood.log"
        for file in directory.glob("flood-audit*"):
            file.unlink()
        settings = settings_file(directory, "flood", issuer.url, resource, url, key)
        settings.write_text(f'{settings.read_text()}[audit]\npath = "{trail}"\n')
        start = Start(settings, log)
        stack.callback(start.stop)
        start.until_ready()
        load = Process("load.py", environment=dict(os.environ), log=directory / "load.log")
        stack.callback(load.stop)
        job = {"url": f"http://127.0.0.1:{start.port}", "requests": [call(ERAS[0], issuer.mint(_CALLER))], "clients": 1}

        def called(warm_up_s: float) -> dict[str, float]:
            cpu, written, began = start.cpu_s(), _size(trail, log), time.monotonic()
            answer = json.loads(load.ask(json.dumps({**job, "seconds": seconds, "warm_up_s": warm_up_s})))
            answer.setdefault("all_calls", 0)
            cores = (start.cpu_s() - cpu) / (time.monotonic() - began)
            return {**answer, "cpu": cores, "bytes": _size(trail, log) - written}

        say(f"quiet, {seconds:.0f} s")
        quiet = called(1)
        say("opening the connections, while the caller goes on")
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        flooder = Process("flooder.py", environment=environment, log=directory / "flooder.log")
        stack.callback(flooder.stop)
        flood = {"port": start.port, "connections": CONNECTIONS, "requests_per_s": REQUESTS_PER_S, "sources": SOURCES}
        with ThreadPoolExecutor(1) as thread:
            calling = thread.submit(called, _OPENING_S)
            opened = json.loads(flooder.ask(json.dumps({**flood, "seconds": _OPENING_S + seconds})))
            say(f"{opened['opened']} are open; flooded, {seconds:.0f} s")
            flooded = calling.result()
        attack = json.loads(flooder.ask("how was it?"))
    return summary(quiet, flooded, {**opened, **attack})


def summary(quiet: dict[str, Any], flooded: dict[str, Any], attack: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that the targets are about."""
    own_bytes = quiet["bytes"] / max(1, quiet["all_calls"])
    return {
        "quiet": quiet,
        "flooded": flooded,
        "attack": attack,
        "requests_per_s": round(attack["sent"] / attack["seconds"]),
        "failures": 1 if "error" in flooded else 0,
        "ratio": round(flooded["p99_ms"] / quiet["p99_ms"], 2) if "p99_ms" in flooded else None,
        "disk_growth_bytes": round(flooded["bytes"] - own_bytes * flooded["all_calls"]),
    }


def _size(*files: Path) -> int:
    return sum(file.stat().st_size for file in files if file.exists())


def show(result: dict[str, Any], console: Console) -> None:
    """Print the figures; plain text when piped."""
    quiet, flooded, attack = result["quiet"], result["flooded"], result["attack"]
    console.print(
        f"{attack['opened']} connections were opened, {attack['closed_by_the_server']} closed by the server; "
        f"{result['requests_per_s']} requests a second without a token, "
        f"{attack['answered']} of {attack['sent']} answered"
    )
    for name, one in (("quiet", quiet), ("flooded", flooded)):
        if "error" in one:
            console.print(f"{name:8}: the authorised caller failed: {one['error']}", highlight=False, markup=False)
        else:
            console.print(
                f"{name:8}: p50 {one['p50_ms']:.1f} ms, p99 {one['p99_ms']:.1f} ms, {one['calls_per_s']:.0f} calls a "
                f"second, server {one['cpu']:.0%} of a core",
                highlight=False,
            )
    console.print(f"flooded p99 to quiet p99: {result['ratio']} (under {RATIO:.0f})", highlight=False)
    console.print(f"failed calls: {result['failures']} (0)", highlight=False)
    console.print(
        f"written without the caller's own records: {result['disk_growth_bytes'] / 1e6:.2f} MB "
        f"(under {DISK_BYTES / 1e6:.0f} MB)",
        highlight=False,
    )


def is_met(result: dict[str, Any]) -> bool:
    """Whether the caller hardly noticed and the disk hardly grew."""
    noticed = result["failures"] or result["ratio"] is None or result["ratio"] >= RATIO
    return not noticed and result["disk_growth_bytes"] < DISK_BYTES
