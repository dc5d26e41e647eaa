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

# Of a call's CPU time, with metrics and the default sampling.
TARGET: Final = 1.10
_CLIENTS: Final = CLIENTS[1]
_OFF: Final = "off"
_DEFAULT: Final = "metrics, 5 % traced"
_DATABASE: Final = "claims_10k"


def measured(directory: Path, say: Any, rounds: int, seconds: float) -> dict[str, Any]:
    """Return the CPU time of a call in each mode, and its ratio to that without telemetry, medians of the rounds."""
    with ExitStack() as stack:
        issuer, resource = stack.enter_context(issuer_running(directory))
        endpoint = stack.enter_context(_receiving())
        say("filling the claims (the first time takes half a minute)")
        version = prepared(ROOT, directory, issuer.url, resource, stack)
        calls = [call(ERAS[0], token) for token in tokens_of(issuer)]
        modes = {name: _served(version, name, more, calls) for name, more in _modes(endpoint).items()}
        load = Process("load.py", environment=dict(os.environ), log=directory / "load.log")
        stack.callback(load.stop)
        found: dict[str, list[float]] = {name: [] for name in modes}
        for one in range(rounds):
            # In another order each time: what runs before it leaves its mark on a measurement.
            for name, candidate in random.sample(list(modes.items()), len(modes)):
                say(f"round {one + 1} of {rounds}: {name}")
                found[name].append(candidate.measure(load, _CLIENTS, seconds)["cpu_us"])
    ratios = {
        name: median(here / off for here, off in zip(several, found[_OFF], strict=True))
        for name, several in found.items()
    }
    return {
        "cpu_us": {name: round(median(several), 1) for name, several in found.items()},
        "of_off": {name: round(ratio, 3) for name, ratio in ratios.items()},
    }


def _modes(endpoint: str) -> dict[str, dict[str, str]]:
    """Return the environment variables of each mode."""

    def port() -> dict[str, str]:
        return {"TENANTGATE_TELEMETRY__METRICS_PORT": str(free_port())}

    sent = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{endpoint}/v1/traces"}
    return {
        _OFF: {},
        "metrics": port(),
        _DEFAULT: {**port(), **sent},
        "metrics, all traced": {**port(), **sent, "OTEL_TRACES_SAMPLER": "always_on"},
    }


def _served(version: Version, name: str, more: dict[str, str], calls: list[str]) -> Candidate:
    port = free_port()
    settings = {
        "PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "TENANTGATE_CONFIG": version.files[_DATABASE],
    }
    script = str(version.root / "tests" / "bench" / "served.py")
    log = version.folder / f"telemetry-{port}.log"
    process = Process(script, "full", str(port), environment={**os.environ, **settings, **more}, log=log)
    version.stack.callback(process.stop)
    process.ask("ready")
    return Candidate(name, process, port, calls)


@contextmanager
def _receiving() -> Generator[str]:
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
    console.print(f"the target: {_DEFAULT} at most {TARGET}")


def is_met(result: dict[str, Any]) -> bool:
    """Whether the default costs no more than the target."""
    return result["of_off"][_DEFAULT] <= TARGET
