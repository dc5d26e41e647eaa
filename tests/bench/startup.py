"""How long `tenantgate serve` takes with 200 declared tables, from its start to /readyz and to the first tools/list."""

import json
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final

from depot import TABLES, prepare_depot
from processes import issuer_running, person
from rich.console import Console
from run import settings_file
from serving import Start, imports_ms, profiled

from server.dev.folder import folder_lock
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.preparation import development_key

TARGET_S: Final = 3.0
_LIST: Final = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}})


def measured(directory: Path, say: Any, rounds: int) -> dict[str, Any]:
    """Return the seconds to each milestone, medians of the rounds, and what one more start spent them on."""
    with ExitStack() as stack:
        stack.enter_context(folder_lock(directory))
        postgres = stack.enter_context(EmbeddedPostgres(directory / "postgres"))
        issuer, resource = stack.enter_context(issuer_running(directory))
        say(f"making {TABLES} tables and their declarations")
        key = development_key(directory / "context.key")
        url, catalog = prepare_depot(postgres, key, directory)
        settings = settings_file(directory, "startup", issuer.url, resource, url, key)
        text = settings.read_text().replace('catalog = ["sample"]', f"catalog = {json.dumps([str(catalog)])}")
        settings.write_text(text.replace("[tenancy]\n", '[tenancy]\nid_type = "uuid"\n'))
        token = issuer.mint(person(1))
        starts: list[dict[str, float]] = []
        for number in range(rounds):
            say(f"start {number + 1} of {rounds}")
            starts.append(_started(settings, directory, token))
        say("profiles")
        spent = {"imports_ms": imports_ms(settings, directory), **profiled(settings, directory)}
    return {
        "tables": TABLES,
        **{key: round(median(one[key] for one in starts), 3) for key in starts[0]},
        "all_listed_s": [round(one, 2) for one in sorted(one["listed_s"] for one in starts)],
        **spent,
    }


def _started(settings: Path, directory: Path, token: str) -> dict[str, float]:
    """Return the figures of one start: when it was ready and its tools listed, CPU time, a second tools/list."""
    headers = {
        "host": "bench",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2025-11-25",
        "authorization": f"Bearer {token}",
    }
    start = Start(settings, directory / "startup.log")
    try:
        ready_s = start.until_ready()
        listed_s, answer = start.until("POST", "/mcp", headers, _LIST)
        cpu_s = start.cpu_s()
        again_s, _ = start.until("POST", "/mcp", headers, _LIST)
    finally:
        start.stop()
    tools = len(json.loads(answer)["result"]["tools"])
    return {"tools": tools, "ready_s": ready_s, "listed_s": listed_s, "cpu_s": cpu_s, "list_s": again_s - listed_s}


def show(result: dict[str, Any], console: Console) -> None:
    """Print the figures; plain text when piped."""
    ready, listed = (f"{result[key]:.2f} s" for key in ("ready_s", "listed_s"))
    console.print(f"{result['tables']} tables, {result['tools']:.0f} tools, from the start of the process:")
    console.print(f"/readyz after {ready}, the first tools/list after {listed} (under {TARGET_S:.0f} s)")
    console.print(f"CPU time until then: {result['cpu_s']:.2f} s; a second tools/list: {result['list_s']:.3f} s")
    for title, key in (
        ("milliseconds to import, the dearest packages", "imports_ms"),
        ("seconds of whole stages under cProfile, which makes them two or three times as long", "profiled_stages_s"),
        ("seconds of functions alone, the dearest ones under cProfile", "profiled_own_s"),
    ):
        lines = [f"{figure:10.3f}  {name}" for name, figure in result[key].items()]
        console.print(f"\n{title}:", *lines, sep="\n", highlight=False)


def is_met(result: dict[str, Any]) -> bool:
    """Whether the tools can be listed in time."""
    return result["listed_s"] < TARGET_S
