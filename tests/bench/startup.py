"""How long `tenantgate serve` takes with 200 declared tables, from its start to /readyz and to the first tools/list."""

import http.client
import json
import os
import pstats
import re
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final

from depot import TABLES, prepare_depot
from processes import free_port, issuer_running, person
from rich.console import Console
from run import ROOT, settings_file

from server.dev.folder import folder_lock
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.preparation import development_key

TARGET_S: Final = 3.0
_PATIENCE_S: Final = 120.0
_LINES: Final = 25
# What the server does before it listens, by the names of the functions.
_STAGES: Final = (
    "load_settings",
    "load_catalog",
    "problems_of",
    "offered",
    "examine",
    "catalog_checks",
    "_live_proofs",
    "read_facts",
    "create_app",
    "describe",
)


class Start:
    """One run of `tenantgate serve`."""

    def __init__(self, settings: Path, log: Path, *options: str) -> None:
        """Start it; `options` are the interpreter's."""
        self.port: Final = free_port()
        command = [sys.executable, *options, "-m", "server", "serve", "--config", str(settings)]
        with log.open("wb") as output:
            self.began: Final = time.monotonic()
            self._child = subprocess.Popen(
                [*command, "--port", str(self.port)],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=output,
                stderr=output,
            )
        self._log: Final = log

    def until(self, method: str, path: str, headers: dict[str, str], body: str | None = None) -> tuple[float, bytes]:
        """Ask until the answer is 200; return the seconds since the start, and the body."""
        while time.monotonic() < self.began + _PATIENCE_S:
            if self._child.poll() is not None:
                raise RuntimeError(f"the server ended; {self._log} says why")
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE_S)
            try:
                connection.request(method, path, body, headers)
                answer = connection.getresponse()
                content = answer.read()
                if answer.status == http.HTTPStatus.OK:
                    return time.monotonic() - self.began, content
            except OSError:  # it does not listen yet
                pass
            finally:
                connection.close()
            time.sleep(0.005)
        raise RuntimeError(f"the server was not ready within {_PATIENCE_S:.0f} s; {self._log} says why")

    def stop(self) -> None:
        """End it as Ctrl+C does, so that a profile is written."""
        self._child.send_signal(signal.SIGINT)
        self._child.wait(30)


def measured(directory: Path, say: Any, rounds: int) -> dict[str, Any]:
    """Return the seconds to each milestone, medians of the rounds, and what one profiled start spent them on."""
    with ExitStack() as stack:
        stack.enter_context(folder_lock(directory))
        postgres = stack.enter_context(EmbeddedPostgres(directory / "postgres"))
        issuer, resource = stack.enter_context(issuer_running(directory))
        say(f"making {TABLES} tables and their declarations")
        key = development_key(directory / "context.key")
        url, catalog = prepare_depot(postgres, key, directory)
        file = settings_file(directory, "startup", issuer.url, resource, url, key)
        text = file.read_text().replace('catalog = ["sample"]', f"catalog = {json.dumps([str(catalog)])}")
        file.write_text(text.replace("[tenancy]\n", '[tenancy]\nid_type = "uuid"\n'))
        token = issuer.mint(person(1))
        ready: list[float] = []
        listed: list[float] = []
        tools = 0
        for number in range(rounds):
            say(f"start {number + 1} of {rounds}")
            start = Start(file, directory / "startup.log")
            try:
                ready.append(start.until("GET", "/readyz", {"host": "bench"})[0])
                took_s, answer = start.until("POST", "/mcp", *_list_request(token))
                listed.append(took_s)
            finally:
                start.stop()
            tools = len(json.loads(answer)["result"]["tools"])
        say("profiles")
        stages = _stages(file, directory)
        imports = _imports(file, directory)
    return {
        "tables": TABLES,
        "tools": tools,
        "ready_s": round(median(ready), 2),
        "listed_s": round(median(listed), 2),
        "all_listed_s": [round(one, 2) for one in sorted(listed)],
        "imports_ms": imports,
        **stages,
    }


def _list_request(token: str) -> tuple[dict[str, str], str]:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}})
    headers = {
        "host": "bench",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2025-11-25",
        "authorization": f"Bearer {token}",
    }
    return headers, body


def _stages(file: Path, directory: Path) -> dict[str, Any]:
    """Return what cProfile sees of the main thread: seconds of whole stages, and of the dearest functions alone."""
    profile = directory / "startup.prof"
    start = Start(file, directory / "startup-profile.log", "-m", "cProfile", "-o", str(profile))
    try:
        start.until("GET", "/readyz", {"host": "bench"})
    finally:
        start.stop()
    stats: dict[Any, Any] = pstats.Stats(str(profile)).stats  # pyright: ignore[reportAttributeAccessIssue]
    stages: dict[str, float] = dict.fromkeys(_STAGES, 0.0)
    own: dict[str, float] = {}
    for (source, _line, function), (_, calls, own_s, whole_s, _) in stats.items():
        if function in stages and "/server/" in source:
            stages[function] += whole_s
        own[f"{function if source == '~' else f'{Path(source).name}:{function}'} ({calls} calls)"] = own_s
    dearest = sorted(own.items(), key=lambda one: -one[1])[:_LINES]
    return {
        "profiled_stages_s": {name: round(whole_s, 3) for name, whole_s in stages.items()},
        "profiled_own_s": {name: round(own_s, 3) for name, own_s in dearest},
    }


def _imports(file: Path, directory: Path) -> dict[str, float]:
    """Return the milliseconds that importing takes by package, without what it imports itself; the dearest ones."""
    log = directory / "startup-imports.log"
    start = Start(file, log, "-X", "importtime")
    try:
        start.until("GET", "/readyz", {"host": "bench"})
    finally:
        start.stop()
    spent: dict[str, float] = {}
    for own_us, name in re.findall(r"import time: +(\d+) \| +\d+ \| +(\S+)", log.read_text(errors="replace")):
        package = name.partition(".")[0]
        spent[package] = spent.get(package, 0) + int(own_us) / 1000
    dearest = sorted(spent.items(), key=lambda one: -one[1])[:_LINES]
    return {"all": round(sum(spent.values())), **{name: round(own_ms, 1) for name, own_ms in dearest}}


def show(result: dict[str, Any], console: Console) -> None:
    """Print the figures; plain text when piped."""
    console.print(f"{result['tables']} tables, {result['tools']} tools: seconds from the start of the process")
    console.print(
        f"to /readyz {result['ready_s']:.2f}, to the first tools/list {result['listed_s']:.2f} (under {TARGET_S})"
    )
    console.print("\nmilliseconds to import, the dearest packages:", *_pairs(result["imports_ms"]), sep="\n")
    console.print(
        "\nseconds of each stage under cProfile, which doubles them:", *_pairs(result["profiled_stages_s"]), sep="\n"
    )
    console.print("\nown seconds, the dearest functions under cProfile:", *_pairs(result["profiled_own_s"]), sep="\n")


def _pairs(figures: dict[str, float]) -> list[str]:
    return [f"{number:10.3f}  {name}" for name, number in figures.items()]


def is_met(result: dict[str, Any]) -> bool:
    """Whether the tools can be listed in time."""
    return result["listed_s"] < TARGET_S
