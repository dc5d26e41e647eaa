"""What a call costs beside a bare endpoint around the same statement, and whether it grows with the data.

Everything runs on this machine: PostgreSQL, the issuer, each server in a process of its own, the load generator in
another. Rounds of all candidates alternate, so that a noisy minute hits each alike; ratios are taken within a round,
and the medians of the rounds count. A second version of the project can be measured in the same rounds.
"""

import json
import os
import platform
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import profiles
import verification
from dataset import SIZES
from processes import PEOPLE, Candidate, Process, free_port, issuer_running, person

from server.database.context_keys import ContextKey
from server.dev.issuer.application import DevelopmentIssuer

ROOT: Final = Path(__file__).parents[2]
CLIENTS: Final = (1, 8, 32)
ERAS: Final = ("2025-11-25", "2026-07-28")
AGAINST: Final = "against "
_HERE: Final = Path(__file__).parent
_UNLIMITED: Final = 1_000_000_000
_LARGE: Final = "claims_1m"
_SMALL: Final = "claims_10k"
Rounds = dict[str, list[dict[str, float]]]


def settings_file(directory: Path, name: str, issuer: str, resource: str, database_url: str, key: ContextKey) -> Path:
    """Write one server's settings, as production would have them."""
    file = directory / f"{name}.toml"
    file.touch(mode=0o600)
    file.write_text(
        f'resource_url = "{resource}"\n'
        'allowed_hosts = ["bench"]\n'
        'catalog = ["sample"]\n'
        f'[[issuers]]\nissuer = "{issuer}"\naudiences = ["{resource}"]\ntoken_type = "at+jwt"\ntoken_use = "access"\n'
        # Ten people who call as fast as they are answered are over any budget.
        f"[limits]\ncalls_per_minute_per_person = {_UNLIMITED}\ncalls_per_minute_per_tenant = {_UNLIMITED}\n"
        '[tenancy]\ntiers = ["regular", "platinum"]\n'
        f'[database]\nurl = "{database_url}"\ncontext_keys = ["{key.text()}"]\n'
    )
    return file


def call(era: str, token: str, arguments: dict[str, Any] | None = None) -> str:
    """Return one whole HTTP request: `query_claims`, 20 rows."""
    params: dict[str, Any] = {"name": "query_claims", "arguments": {"limit": 20} if arguments is None else arguments}
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


@dataclass(frozen=True)
class Version:
    """One checkout with its databases prepared: the settings file of each, and how its servers are started."""

    root: Path
    folder: Path
    files: dict[str, str]
    stack: ExitStack

    def server(self, kind: str, database: str) -> tuple[Process, int]:
        """Start a server of this version; return it and its port."""
        port = free_port()
        environment = {**os.environ, "PYTHONPATH": str(self.root), "TENANTGATE_CONFIG": self.files[database]}
        script = self.root / "tests" / "bench" / "served.py"
        process = Process(
            str(script), kind, str(port), environment=environment, log=self.folder / f"{kind}-{database}.log"
        )
        self.stack.callback(process.stop)
        process.ask("ready")
        return process, port

    def candidates(self, prefix: str, tokens: list[str]) -> list[Candidate]:
        """Return the server with a million claims in both protocol eras, and its bare endpoint."""
        full, bare = self.server("full", _LARGE), self.server("bare", _LARGE)
        bare_calls = [bare_call(f"tenant-{number + 1}") for number in range(PEOPLE)]
        eras = [Candidate(f"{prefix}{era}", *full, [call(era, token) for token in tokens]) for era in ERAS]
        return [*eras, Candidate(f"{prefix}bare", *bare, bare_calls)]


def prepared(root: Path, folder: Path, issuer: str, resource: str, stack: ExitStack) -> Version:
    """Let the checkout at `root` fill its databases in `folder`, and keep them running."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o711)
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = Process(
        "checkout.py", str(root), str(folder), issuer, resource, environment=environment, log=folder / "checkout.log"
    )
    stack.callback(process.stop)
    return Version(root, folder, json.loads(process.ask("ready")), stack)


def measured(directory: Path, say: Any, wanted: int, seconds: float, against: Path | None = None) -> dict[str, Any]:
    """Set everything up, run all rounds, and return the figures; `against` is the root of another checkout."""
    with ExitStack() as stack:
        issuer, resource = stack.enter_context(issuer_running(directory))
        tokens = tokens_of(issuer)
        say("filling 1,010,000 claims (the first time takes half a minute)")
        here = prepared(ROOT, directory, issuer.url, resource, stack)
        candidates = here.candidates("", tokens)
        if against is not None:
            folder = directory / f"against-{against.resolve().name}"
            other = prepared(against.resolve(), folder, issuer.url, resource, stack)
            candidates += other.candidates(AGAINST, tokens)
        small = Candidate("small", *here.server("full", _SMALL), [call(ERAS[0], token) for token in tokens])
        load = Process("load.py", environment=dict(os.environ), log=directory / "load.log")
        stack.callback(load.stop)
        rounds: Rounds = {}
        for one in range(wanted):
            for clients in CLIENTS:
                for candidate in candidates:
                    say(f"round {one + 1} of {wanted}: {candidate.name}, {clients} clients")
                    measure = candidate.measure(load, clients, seconds)
                    rounds.setdefault(f"{candidate.name}/{clients}", []).append(measure)
        growth: list[float] = []
        for one in range(2 * wanted + 1):
            say(f"growth, {one + 1} of {2 * wanted + 1}")
            few, many = small.measure(load, 1, 1.0), candidates[0].measure(load, 1, 1.0)
            growth.append(many["p50_ms"] / few["p50_ms"])
        say("profile")
        profiled = {candidate.name: profiles.profile(candidate, load, directory) for candidate in candidates}
    return {**summary(rounds, against), "growth_p50": round(median(growth), 3), "profiles": profiled}


def tokens_of(issuer: DevelopmentIssuer) -> list[str]:
    """Return a token for each person."""
    return [issuer.mint(person(number)) for number in range(PEOPLE)]


def summary(rounds: Rounds, against: Path | None) -> dict[str, Any]:
    """Return the medians of the rounds, and the ratios that the targets are about."""
    figures = {
        name: {key: round(median(one[key] for one in several), 3) for key in several[0]}
        for name, several in rounds.items()
    }
    result: dict[str, Any] = {
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()},
        "claims": {name: tenants * 1_000 for name, tenants in SIZES.items()},
        "figures": figures,
        "of_bare_at_8_clients": {era: ratio(rounds, era, "bare", "calls_per_s") for era in ERAS},
        "of_bare_by_cpu": {era: ratio(rounds, "bare", era, "cpu_us") for era in ERAS},
        "verification": verification.measure(figures[f"{ERAS[0]}/8"]["cpu_us"]),
    }
    if against is not None:
        bare = f"{AGAINST}bare"
        result["against"] = {
            "of_bare_at_8_clients": {era: ratio(rounds, f"{AGAINST}{era}", bare, "calls_per_s") for era in ERAS},
            "of_bare_by_cpu": {era: ratio(rounds, bare, f"{AGAINST}{era}", "cpu_us") for era in ERAS},
            # More than 1: this version answers more calls, or needs less CPU time for one.
            "calls_to_before": {one: ratio(rounds, one, f"{AGAINST}{one}", "calls_per_s") for one in (*ERAS, "bare")},
            "cpu_before_to_now": {one: ratio(rounds, f"{AGAINST}{one}", one, "cpu_us") for one in (*ERAS, "bare")},
        }
    return result


def ratio(rounds: Rounds, one: str, other: str, key: str) -> float:
    """Return the median over the rounds of `one` to `other`, measured one after the other, at 8 clients."""
    pairs = zip(rounds[f"{one}/8"], rounds[f"{other}/8"], strict=True)
    return round(median(first[key] / second[key] for first, second in pairs), 3)
