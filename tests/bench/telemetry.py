"""What telemetry costs: CPU time of a call with it off, with metrics, with the default sampling, with every trace."""

import os
import random
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any, Final

from processes import Candidate, Process, free_port, issuer_running
from rich.console import Console
from run import CLIENTS, ERAS, ROOT, Version, call, prepared, tokens_of
from telemetry_modes import DEFAULT, MODES, OFF

# Of a call's CPU time, with metrics and the default sampling.
TARGET: Final = 1.10
_CLIENTS: Final = CLIENTS[1]
_DATABASE: Final = "claims_10k"


def measured(directory: Path, say: Any, rounds: int, seconds: float) -> dict[str, Any]:
    """Return the CPU time of a call in each mode, and its ratio to that without telemetry, medians of the rounds."""
    with ExitStack() as stack:
        issuer, resource = stack.enter_context(issuer_running(directory))
        endpoint = stack.enter_context(receiving())
        say("filling the claims (the first time takes half a minute)")
        version = prepared(ROOT, directory, issuer.url, resource, stack)
        calls = [call(ERAS[0], token) for token in tokens_of(issuer)]
        process, port = _served(version, endpoint)
        server = Candidate("one server", process, port, calls)
        load = Process("load.py", environment=dict(os.environ), log=directory / "load.log")
        stack.callback(load.stop)
        found: dict[str, list[float]] = {name: [] for name in MODES}
        for one in range(rounds):
            # In another order each time: what runs before it leaves its mark on a measurement.
            for name in random.sample(list(MODES), len(MODES)):
                say(f"round {one + 1} of {rounds}: {name}")
                process.ask(name)
                found[name].append(server.measure(load, _CLIENTS, seconds)["cpu_us"])
    ratios = {
        name: median(here / off for here, off in zip(several, found[OFF], strict=True))
        for name, several in found.items()
    }
    return {
        "cpu_us": {name: round(median(several), 1) for name, several in found.items()},
        "of_off": {name: round(ratio, 3) for name, ratio in ratios.items()},
    }


def _served(version: Version, endpoint: str) -> tuple[Process, int]:
    """Start a server whose telemetry can be exchanged; its own is off at first."""
    port = free_port()
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "TENANTGATE_CONFIG": version.files[_DATABASE],
        "OTEL_SDK_DISABLED": "false",
        "OTEL_TRACES_EXPORTER": "none",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{endpoint}/v1/traces",
    }
    log = version.folder / "telemetry.log"
    process = Process("telemetry_served.py", str(port), environment=environment, log=log)
    version.stack.callback(process.stop)
    process.ask("ready")
    return process, port


@contextmanager
def receiving() -> Generator[str]:
    """Take what is exported, and drop it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name in the base
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_address[1]}"
        http.shutdown()


def show(result: dict[str, Any], console: Console) -> None:
    """Print the figures."""
    for name, cpu_us in result["cpu_us"].items():
        console.print(f"{name:24} {cpu_us:8.1f} µs of CPU a call, {result['of_off'][name]:.3f} of that without")
    console.print(f"the target: {DEFAULT} at most {TARGET}")


def is_met(result: dict[str, Any]) -> bool:
    """Whether the default costs no more than the target."""
    return result["of_off"][DEFAULT] <= TARGET
