"""Quick claims beside slow documents: `query_claims` while 32 searches wait two seconds for the store each."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final

from dataset import prepare
from processes import PEOPLE, Candidate, Process, free_port, issuer_running, person
from run import call, settings_file

from server.dev.folder import folder_lock
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.preparation import development_key

SEARCHES: Final = 32
TARGET_P99: Final = 1.5
_DATABASE: Final = "claims_10k"
_ERA: Final = "2025-11-25"


def search(token: str) -> str:
    """Return one whole HTTP request: `search_policies`."""
    params = {"name": "search_policies", "arguments": {"query": "What is the deductible for auto insurance?"}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    return (
        "POST /mcp HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
        f"accept: application/json, text/event-stream\r\nmcp-protocol-version: {_ERA}\r\n"
        f"authorization: Bearer {token}\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    )


def measured_documents(directory: Path, say: Any, rounds: int = 5, seconds: float = 5.0) -> dict[str, Any]:
    """Alternate quiet and busy rounds; return the medians of both p50 and p99 in milliseconds, and busy to quiet."""
    with ExitStack() as stack:
        stack.enter_context(folder_lock(directory))
        postgres = stack.enter_context(EmbeddedPostgres(directory / "postgres"))
        key = development_key(directory / "context.key")
        urls = prepare(postgres, key)
        issuer, resource = stack.enter_context(issuer_running(directory))
        tokens = [issuer.mint(person(number)) for number in range(PEOPLE)]

        def process(name: str, *command: str, **variables: str) -> Process:
            log = directory / f"documents-{name}.log"
            started = Process(*command, environment={**os.environ, **variables}, log=log)
            stack.callback(started.stop)
            return started

        store_port, port = free_port(), free_port()
        process("store", "slow_store.py", str(store_port)).ask("ready")
        file = settings_file(directory, "documents", issuer.url, resource, urls[_DATABASE], key)
        server = process(
            "server",
            "served.py",
            "full",
            str(port),
            TENANTGATE_CONFIG=str(file),
            TENANTGATE_DOCUMENTS__KNOWLEDGE_BASE_ID="ABCDEFGHIJ",
            TENANTGATE_DOCUMENTS__REGION="eu-west-1",
            AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME=f"http://127.0.0.1:{store_port}",
            AWS_ACCESS_KEY_ID="worthless",
            AWS_SECRET_ACCESS_KEY="worthless",
        )
        server.ask("ready")
        claims_load, search_load = process("claims", "load.py"), process("searches", "load.py")
        claims = Candidate("claims", server, port, [call(_ERA, token) for token in tokens])
        searches = Candidate("searches", server, port, [search(token) for token in tokens])
        quiet: list[dict[str, float]] = []
        busy: list[dict[str, float]] = []
        searched: list[dict[str, float]] = []
        with ThreadPoolExecutor(1) as threads:
            for number in range(rounds):
                say(f"documents, round {number + 1} of {rounds}")
                quiet.append(claims.measure(claims_load, 1, seconds))
                beside = threads.submit(load, searches, search_load, seconds + 1)
                busy.append(claims.measure(claims_load, 1, seconds))
                searched.append(beside.result())
    return figures(quiet, busy, searched)


def load(candidate: Candidate, generator: Process, seconds: float) -> dict[str, float]:
    """Keep as many searches waiting as SEARCHES says; the server's CPU is not asked, the claims ask it."""
    answer = json.loads(generator.ask(json.dumps({**candidate._job, "clients": SEARCHES, "seconds": seconds})))
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer


def figures(
    quiet: list[dict[str, float]], busy: list[dict[str, float]], searched: list[dict[str, float]]
) -> dict[str, Any]:
    """Return the medians of the rounds."""

    def middle(several: list[dict[str, float]], key: str) -> float:
        return round(median(one[key] for one in several), 3)

    return {
        "quiet": {key: middle(quiet, key) for key in ("p50_ms", "p99_ms", "calls_per_s")},
        "beside_searches": {key: middle(busy, key) for key in ("p50_ms", "p99_ms", "calls_per_s")},
        "searches": {key: middle(searched, key) for key in ("p50_ms", "calls_per_s")},
        "p99_busy_to_quiet": round(median(b["p99_ms"] / q["p99_ms"] for b, q in zip(busy, quiet, strict=True)), 3),
    }
