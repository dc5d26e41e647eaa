"""What a call costs beside a bare endpoint around the same statement, and whether it grows with the data.

Everything runs on this machine: PostgreSQL, the issuer, each server in a process of its own, the load generator in
another. Rounds of all candidates alternate, so that a noisy minute hits each alike; the medians of the rounds count.
"""

import json
import os
import platform
import pstats
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from io import StringIO
from pathlib import Path
from statistics import median
from typing import Any, Final

import verification
from dataset import SIZES, prepare

from server.database.context_keys import ContextKey
from server.dev.folder import folder_lock
from server.dev.issuer.application import DevelopmentIssuer
from server.dev.people import Person
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.preparation import development_key
from server.dev.stack import SCOPES
from server.http.serving import Server, listen, server_config

ROOT: Final = Path(__file__).parents[2]
CLIENTS: Final = (1, 8, 32)
PEOPLE: Final = 10
_HERE: Final = Path(__file__).parent
_LARGE: Final = "claims_1m"
_SMALL: Final = "claims_10k"
_PROFILE_LINES: Final = 25


class Process:
    """A child that answers one line for one line."""

    def __init__(self, *command: str, environment: dict[str, str], log: Path) -> None:
        """Start a script of this folder."""
        with log.open("wb") as errors:
            self._child = subprocess.Popen(
                [sys.executable, str(_HERE / command[0]), *command[1:]],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def ask(self, line: str) -> str:
        """Return the answer to `line`."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(line + "\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self._child.args} ended")
        return answer.strip()

    def stop(self) -> None:
        """End its standard input, which ends it."""
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait(20)


class Candidate:
    """One server under one kind of request."""

    def __init__(self, name: str, process: Process, port: int, requests: list[str]) -> None:
        """Send `requests` in turn to `port`."""
        self.name = name
        self.process = process
        self._job = {"url": f"http://127.0.0.1:{port}", "requests": requests}

    def measure(self, load: Process, clients: int, seconds: float) -> dict[str, float]:
        """Return calls a second, p50 and p99 in milliseconds, and the server's CPU in microseconds a call."""
        before = float(self.process.ask("cpu"))
        answer = json.loads(load.ask(json.dumps({**self._job, "clients": clients, "seconds": seconds})))
        if "error" in answer:
            raise RuntimeError(answer["error"])
        spent = float(self.process.ask("cpu")) - before
        calls = answer.pop("all_calls")
        return {**answer, "cpu_us": spent / calls * 1e6}


@contextmanager
def issuer_running(directory: Path) -> Generator[tuple[DevelopmentIssuer, str]]:
    """Serve an issuer's keys from a thread; yield it and the address that its tokens are for."""
    listener = listen("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    resource = "http://127.0.0.1/mcp"
    people = [person(number) for number in range(PEOPLE)]
    issuer = DevelopmentIssuer(url, directory / "issuer", [resource], people, SCOPES)
    server = Server(server_config(issuer.app))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield issuer, resource
    finally:
        server.should_exit = True
        thread.join()


def person(number: int) -> Person:
    """Return a person of a tenant of their own."""
    return Person(f"person-{number}", f"00000000-0000-4000-8000-{number:012d}", f"tenant-{number + 1}", ("regular",))


def settings_file(directory: Path, name: str, issuer: str, resource: str, database_url: str, key: ContextKey) -> Path:
    """Write one server's settings, as production would have them."""
    file = directory / f"{name}.toml"
    file.touch(mode=0o600)
    file.write_text(
        f'resource_url = "{resource}"\n'
        'allowed_hosts = ["bench"]\n'
        f'[[issuers]]\nissuer = "{issuer}"\naudiences = ["{resource}"]\ntoken_type = "at+jwt"\ntoken_use = "access"\n'
        '[tenancy]\ntiers = ["regular", "platinum"]\n'
        f'[database]\nurl = "{database_url}"\ncontext_keys = ["{key.text()}"]\n'
    )
    return file


def call(era: str, token: str) -> str:
    """Return one whole HTTP request: `query_claims` with its defaults, 20 rows."""
    params: dict[str, Any] = {"name": "query_claims", "arguments": {"limit": 20}}
    headers = ""
    if era == "2026-07-28":
        headers = "mcp-method: tools/call\r\nmcp-name: query_claims\r\n"
        params["_meta"] = {
            "io.modelcontextprotocol/protocolVersion": era,
            "io.modelcontextprotocol/clientCapabilities": {},
        }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    return (
        "POST /mcp HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        f"accept: application/json, text/event-stream\r\nmcp-protocol-version: {era}\r\n{headers}"
        f"authorization: Bearer {token}\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    )


def bare_call(tenant: str) -> str:
    """Return one whole HTTP request to the bare endpoint."""
    return f"POST /claims?tenant={tenant} HTTP/1.1\r\nhost: bench\r\ncontent-length: 0\r\n\r\n"


def free_port() -> int:
    """Return a port that is free at the moment."""
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    listener.close()
    return port


def measured(directory: Path, say: Any, wanted: int, seconds: float) -> dict[str, Any]:
    """Set everything up, run all rounds, and return the figures."""
    with ExitStack() as stack:
        stack.enter_context(folder_lock(directory))
        postgres = stack.enter_context(EmbeddedPostgres(directory / "postgres"))
        key = development_key(directory / "context.key")
        say("filling 1,010,000 claims (the first time takes half a minute)")
        urls = prepare(postgres, key)
        issuer, resource = stack.enter_context(issuer_running(directory))
        tokens = [issuer.mint(person(number)) for number in range(PEOPLE)]

        def server(kind: str, database: str) -> tuple[Process, int]:
            port = free_port()
            file = settings_file(directory, f"{kind}-{database}", issuer.url, resource, urls[database], key)
            environment = {**os.environ, "TENANTGATE_CONFIG": str(file)}
            process = Process(
                "served.py", kind, str(port), environment=environment, log=directory / f"{kind}-{database}.log"
            )
            stack.callback(process.stop)
            process.ask("ready")
            return process, port

        load = Process("load.py", environment=dict(os.environ), log=directory / "load.log")
        stack.callback(load.stop)
        full, small, bare = server("full", _LARGE), server("full", _SMALL), server("bare", _LARGE)
        candidates = [
            Candidate("2025-11-25", *full, [call("2025-11-25", token) for token in tokens]),
            Candidate("2026-07-28", *full, [call("2026-07-28", token) for token in tokens]),
            Candidate("bare", *bare, [bare_call(f"tenant-{number + 1}") for number in range(PEOPLE)]),
        ]
        rounds: dict[str, list[dict[str, float]]] = {}
        for one in range(wanted):
            for clients in CLIENTS:
                for candidate in candidates:
                    say(f"round {one + 1} of {wanted}: {candidate.name}, {clients} clients")
                    rounds.setdefault(f"{candidate.name}/{clients}", []).append(
                        candidate.measure(load, clients, seconds)
                    )
        growing = Candidate("small", *small, [call("2025-11-25", token) for token in tokens])
        growth: list[float] = []
        for one in range(2 * wanted + 1):
            say(f"growth, {one + 1} of {2 * wanted + 1}")
            few, many = growing.measure(load, 1, 1.0), candidates[0].measure(load, 1, 1.0)
            growth.append(many["p50_ms"] / few["p50_ms"])
        say("profile")
        profiles = {candidate.name: profile(candidate, load, directory) for candidate in candidates}
    figures = {
        name: {key: round(median(one[key] for one in several), 3) for key in several[0]}
        for name, several in rounds.items()
    }
    return {
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "claims": {name: tenants * 1_000 for name, tenants in SIZES.items()},
        "figures": figures,
        "of_bare_at_8_clients": {
            era: round(figures[f"{era}/8"]["calls_per_s"] / figures["bare/8"]["calls_per_s"], 3)
            for era in ("2025-11-25", "2026-07-28")
        },
        "growth_p50": round(median(growth), 3),
        "verification": verification.measure(figures["2025-11-25/8"]["cpu_us"]),
        "profiles": profiles,
    }


def profile(candidate: Candidate, load: Process, directory: Path) -> list[str]:
    """Return where the time of one server goes: the functions with the most time of their own."""
    candidate.process.ask("profile")
    candidate.measure(load, 8, 2.0)
    file = directory / f"{candidate.name}.prof"
    candidate.process.ask(f"report {file}")
    out = StringIO()
    pstats.Stats(str(file), stream=out).strip_dirs().sort_stats("tottime").print_stats(_PROFILE_LINES)
    return [line for line in out.getvalue().splitlines() if line[:1] == " " and line.strip()]
