"""What one tenant's load does to another: `make bench ARGS=fairness`.

First a person whose budget is used up goes on to send ten times as much, every method and both back ends, on as many
connections as one person may have: as fast as the server lets them, for it makes them wait for their refusals. Another
tenant calls at an even pace meanwhile; its p99 is compared with its p99 in quiet. Then eight tenants keep as many calls
going as they can, and a ninth that comes later, with half of their connections, should have a ninth of the answers.
Quiet and busy rounds alternate, and the medians count. On a machine that does something else as well, this measures
that.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final

from dataset import prepare
from processes import PEOPLE, Process, free_port, issuer_running, person
from rich.console import Console
from rich.table import Table
from run import settings_file

from server.dev.folder import folder_lock
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.preparation import development_key

TARGET_P99: Final = 1.5
TARGET_SHARE: Final = 0.8
_BUDGET_PER_S: Final = 100
_TIMES: Final = 10
_STORE_DELAY_S: Final = 0.1
# Connections: of the tenant over its budget, of each of eight greedy tenants, and of the ninth.
_OVER: Final = 256
_GREEDY: Final = 32
_NINTH: Final = 16
_DATABASE: Final = "claims_10k"
_ERA: Final = "2025-11-25"
_QUESTION: Final = {"query": "What is the deductible for auto insurance?"}
# What is measured: the back end, the call, how many clients make it and how many calls a second they make in all.
_MEASURED: Final[dict[str, tuple[str, dict[str, Any], int, float]]] = {
    "database": ("query_claims", {"limit": 20}, 2, 40.0),
    "documents": ("search_policies", _QUESTION, 4, 20.0),
}
_WHOAMI: Final[dict[str, Any]] = {"name": "whoami", "arguments": {}}
_EVERY_METHOD: Final[tuple[tuple[str, dict[str, Any]], ...]] = (
    ("tools/call", {"name": "query_claims", "arguments": {"limit": 100}}),
    ("tools/call", {"name": "summarize_claims", "arguments": {"group_by": "month"}}),
    ("tools/call", {"name": "search_policies", "arguments": _QUESTION}),
    ("tools/call", _WHOAMI),
    ("tools/list", {}),
    ("prompts/list", {}),
    ("resources/list", {}),
    ("ping", {}),
    (
        "initialize",
        {"protocolVersion": _ERA, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}},
    ),
)


def request(token: str, method: str, params: dict[str, Any]) -> str:
    """Return one whole HTTP request."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
    return (
        "POST /mcp HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        f"accept: application/json, text/event-stream\r\nmcp-protocol-version: {_ERA}\r\n"
        f"authorization: Bearer {token}\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    )


def tool_call(token: str, back_end: str) -> str:
    """Return the request that is measured of one back end."""
    tool, arguments, _, _ = _MEASURED[back_end]
    return request(token, "tools/call", {"name": tool, "arguments": arguments})


class Place:
    """One server with its store and its load generators, under one budget."""

    def __init__(self, stack: ExitStack, directory: Path, settings: Path, store: int, budget_per_minute: int) -> None:
        """Start the server; `store` is the port of the document store."""
        self._port: Final = free_port()
        variables = {
            "TENANTGATE_CONFIG": str(settings),
            "TENANTGATE_LIMITS__CALLS_PER_MINUTE_PER_TENANT": str(budget_per_minute),
            "TENANTGATE_LIMITS__CALLS_PER_MINUTE_PER_PERSON": str(budget_per_minute),
            "TENANTGATE_DOCUMENTS__KNOWLEDGE_BASE_ID": "ABCDEFGHIJ",
            "TENANTGATE_DOCUMENTS__REGION": "eu-west-1",
            "AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME": f"http://127.0.0.1:{store}",
            "AWS_ACCESS_KEY_ID": "worthless",
            "AWS_SECRET_ACCESS_KEY": "worthless",
        }
        environment = {**os.environ, **variables}
        log = directory / f"fairness-{budget_per_minute}.log"
        server = Process("served.py", "full", str(self._port), environment=environment, log=log)
        stack.callback(server.stop)
        server.ask("ready")

    def load(self, generator: Process, requests: list[str], clients: int, seconds: float, **job: Any) -> dict[str, Any]:
        """Return what `generator` measured."""
        wanted = {"url": f"http://127.0.0.1:{self._port}", "requests": requests, "clients": clients, "seconds": seconds}
        answer = json.loads(generator.ask(json.dumps(wanted | job)))
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer


def measured(directory: Path, say: Any, rounds: int, seconds: float) -> dict[str, Any]:
    """Return the figures of both parts."""
    with ExitStack() as stack:
        stack.enter_context(folder_lock(directory))
        postgres = stack.enter_context(EmbeddedPostgres(directory / "postgres"))
        key = development_key(directory / "context.key")
        say("filling the databases (the first time takes half a minute)")
        urls = prepare(postgres, key)
        issuer, resource = stack.enter_context(issuer_running(directory))
        tokens = [issuer.mint(person(number)) for number in range(PEOPLE)]
        store = free_port()
        file = settings_file(directory, "fairness", issuer.url, resource, urls[_DATABASE], key)

        def process(name: str, *command: str) -> Process:
            started = Process(*command, environment=dict(os.environ), log=directory / f"fairness-{name}.log")
            stack.callback(started.stop)
            return started

        process("store", "slow_store.py", str(store), str(_STORE_DELAY_S)).ask("ready")
        generators = process("load-1", "load.py"), process("load-2", "load.py")
        over = _over_budget(
            Place(stack, directory, file, store, _BUDGET_PER_S * 60), generators, tokens, say, rounds, seconds
        )
        greedy = _greedy(Place(stack, directory, file, store, 10**9), generators[0], tokens, say, rounds, seconds)
    return {"over_budget": over, "greedy": greedy}


def _over_budget(
    place: Place, generators: tuple[Process, Process], tokens: list[str], say: Any, rounds: int, seconds: float
) -> dict[str, Any]:
    """Return another tenant's p99 in quiet and beside a tenant at ten times its budget, for each back end."""
    flood = [request(tokens[0], *one) for one in _EVERY_METHOD]
    paced = {"every_s": _OVER / (_BUDGET_PER_S * _TIMES), "tolerant": True}
    found: dict[str, list[dict[str, float]]] = {back_end: [] for back_end in _MEASURED}
    with ThreadPoolExecutor(1) as threads:
        for number in range(rounds):
            for back_end, (_, _, clients, per_s) in _MEASURED.items():
                say(f"round {number + 1} of {rounds}: {back_end}, quiet and beside a tenant at ten times its budget")
                own, every_s = [tool_call(tokens[1], back_end)], clients / per_s
                quiet = place.load(generators[0], own, clients, seconds, every_s=every_s)
                _use_up(place, generators[1], tokens[0])
                beside = threads.submit(place.load, generators[1], flood, _OVER, seconds + 1, **paced)
                busy = place.load(generators[0], own, clients, seconds, every_s=every_s)
                other = beside.result()
                found[back_end].append(
                    {
                        "quiet_p99_ms": quiet["p99_ms"],
                        "busy_p99_ms": busy["p99_ms"],
                        "p99_busy_to_quiet": busy["p99_ms"] / quiet["p99_ms"],
                        "other_answered_per_s": other["calls_per_s"],
                        "other_refused_per_s": other["refused_per_s"],
                    }
                )
    return {back_end: _medians(several) for back_end, several in found.items()}


def _use_up(place: Place, generator: Process, token: str) -> None:
    """Call until the budget of a minute is used up; raise RuntimeError when it never is."""
    for _ in range(20):
        answer = place.load(generator, [request(token, "tools/call", _WHOAMI)], _OVER, 2, tolerant=True)
        if answer["refused_per_s"] > 0:
            return
    raise RuntimeError("the tenant's budget does not end")


def _greedy(
    place: Place, generator: Process, tokens: list[str], say: Any, rounds: int, seconds: float
) -> dict[str, Any]:
    """Return the ninth tenant's share of the answers beside eight greedy ones, as a part of a ninth."""
    found: dict[str, list[dict[str, float]]] = {back_end: [] for back_end in _MEASURED}
    for number in range(rounds):
        for back_end in _MEASURED:
            say(f"round {number + 1} of {rounds}: {back_end}, eight greedy tenants and a ninth")
            greedy = [tool_call(token, back_end) for token in tokens[1:9] for _ in range(_GREEDY)]
            requests = greedy + [tool_call(tokens[9], back_end)] * _NINTH
            answer = place.load(generator, requests, len(requests), seconds, each=True, late=_NINTH, tolerant=True)
            of_client = answer["of_client"]
            ninth, all_calls = sum(of_client[len(greedy) :]), sum(of_client)
            found[back_end].append({"calls_per_s": answer["calls_per_s"], "of_its_share": 9 * ninth / all_calls})
    return {back_end: _medians(several) for back_end, several in found.items()}


def _medians(several: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(median(one[key] for one in several), 3) for key in several[0]}


def show(result: dict[str, Any], console: Console) -> None:
    """Print both tables; plain text when piped."""
    table = Table("back end", "p99 quiet, ms", "p99 beside, ms", "ratio", "other: answered/s", "other: refused/s")
    for back_end, one in result["over_budget"].items():
        figures = ("quiet_p99_ms", "busy_p99_ms", "p99_busy_to_quiet", "other_answered_per_s", "other_refused_per_s")
        table.add_row(back_end, *(f"{one[name]:,.2f}" for name in figures))
    console.print(f"one tenant beside another that sends {_TIMES} times its budget (ratio at most {TARGET_P99})", table)
    table = Table("back end", "calls/s of all", "ninth tenant, of its 1/9")
    for back_end, one in result["greedy"].items():
        table.add_row(back_end, f"{one['calls_per_s']:,.0f}", f"{one['of_its_share']:.2f}")
    console.print(f"a ninth tenant beside eight greedy ones (at least {TARGET_SHARE})", table)


def is_met(result: dict[str, Any]) -> bool:
    """Whether every target is met."""
    ratios = [one["p99_busy_to_quiet"] <= TARGET_P99 for one in result["over_budget"].values()]
    return all(ratios + [one["of_its_share"] >= TARGET_SHARE for one in result["greedy"].values()])
