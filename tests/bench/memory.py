"""Whether a server's memory grows with its calls: after 200,000 of them at most a tenth more than after 20,000."""

import json
import os
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from processes import Process
from rich.console import Console
from rich.table import Table

sys.path.insert(1, str(Path(__file__).parents[1]))

from ports import free_port
from real_server import RealServer, real_server

from server.database.context_keys import new_context_key
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.preparation import prepare_database
from server.settings import Settings

FROM_CALLS: Final = 20_000
TARGET_GROWTH: Final = 1.10
CLIENTS: Final = 8
_ROUND_S: Final = 4.0


def measured(say: Any, calls: int) -> dict[str, Any]:
    """Call a server of one worker, with a signed audit trail and metrics, and look at its memory now and then."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="memory-")))
        folder.chmod(0o711)
        postgres = running.enter_context(EmbeddedPostgres(folder / "postgres"))
        key = new_context_key("memory")
        url = prepare_database(postgres, key, "http://127.0.0.1:1")
        # Many people, as there are; the trail begins a new file every few seconds, as it does every few hours.
        more: dict[str, Any] = {"tenancy": {"tenant_lookup": False}}
        if "telemetry" in Settings.model_fields:
            more["telemetry"] = {"metrics_port": free_port()}
        (folder / "server").mkdir()
        server = running.enter_context(real_server(folder / "server", url, key.text(), **more))
        server.settings["audit"]["rotate_bytes"] = 4_194_304
        server.start()
        load = Process("load.py", environment=dict(os.environ), log=folder / "load.log")
        running.callback(load.stop)
        return {"seen": _looks(server, load, calls, say)}


def _looks(server: RealServer, load: Process, calls: int, say: Any) -> list[dict[str, float]]:
    job = {"url": server.url, "requests": _requests(server), "clients": CLIENTS, "seconds": _ROUND_S}
    done, next_look, seen = 0, FROM_CALLS, list[dict[str, float]]()
    while done < calls:
        answer = json.loads(load.ask(json.dumps(job)))
        if "error" in answer:
            if done or "refused" not in answer["error"].lower():
                raise RuntimeError(answer["error"])
            continue
        done += answer["all_calls"]
        if done >= next_look:
            seen.append({"calls": done, "memory_mb": round(_memory_mb(server), 1)})
            say(f"{done:,} calls, {seen[-1]['memory_mb']} MB")
            next_look += FROM_CALLS
    return seen


def _requests(server: RealServer) -> list[str]:
    people = [
        server.issuer.token(sub=f"person-{number}", tenant_id=f"broker-{'ab'[number % 2]}") for number in range(50)
    ]
    made = [server.call("query_claims"), server.call("summarize_claims")]
    return [
        replace(call, token=token).request(f"127.0.0.1:{server.port}").decode() for token in people for call in made
    ]


def _memory_mb(server: RealServer) -> float:
    """Return what of the process lies in memory and is its own."""
    assert server.process is not None
    lines = Path(f"/proc/{server.process.pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Rss:")) / 1024


def growth(result: dict[str, Any]) -> float:
    """Return the last figure in parts of the first."""
    seen = result["seen"]
    return seen[-1]["memory_mb"] / seen[0]["memory_mb"]


def is_met(result: dict[str, Any]) -> bool:
    """Whether the memory stays as it is."""
    return growth(result) <= TARGET_GROWTH


def show(result: dict[str, Any], console: Console) -> None:
    """Print how the memory went."""
    table = Table("calls", "memory in MB")
    for one in result["seen"]:
        table.add_row(f"{one['calls']:,}", f"{one['memory_mb']:.1f}")
    console.print(table)
    console.print(f"the last of them / the first: {growth(result):.3f} (at most {TARGET_GROWTH})")
