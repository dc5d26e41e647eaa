"""The one way to run `tenantgate serve` as a process: with a settings file, an issuer and a log that tests can read."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from server.audit.files import trail_files
from server.dev.preparation import SAMPLE
from server.dev.stack import Stack
from support.audit import KEY
from support.callers import Call
from support.issuer import Issuer
from support.ports import free_port


@dataclass
class RealServer:
    """A server process; `start` may be called again after it has ended."""

    folder: Path
    port: int
    issuer: Issuer
    settings: dict[str, Any]
    process: subprocess.Popen[bytes] | None = None
    variables: dict[str, str] = field(default_factory=dict)
    # Where it logs; a file of the folder unless a test has a place for it.
    log_file: Path | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def trail(self) -> Path:
        return self.folder / "trails" / "audit.jsonl"

    @property
    def logged(self) -> Path:
        return self.log_file or self.folder / "log"

    @property
    def config(self) -> Path:
        return self.folder / "tenantgate.toml"

    def write(self, **changed: Any) -> None:
        """Write the settings file, whole or not at all."""
        self.settings |= changed
        fresh = self.folder / "tenantgate.fresh"
        fresh.touch(mode=0o600)
        fresh.write_text("\n".join(toml_lines(self.settings)), encoding="utf-8")
        fresh.replace(self.config)

    def start(self) -> None:
        self.write()
        (self.folder / "trails").mkdir(exist_ok=True)
        ours = ("TENANTGATE_", "OTEL_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        command = [sys.executable, "-m", "server", "serve", "--config", str(self.config)]
        with self.logged.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment | self.variables, cwd=self.folder
            )

    def ready(self, status: int = 200, within_s: float = 60) -> None:
        """Wait until /readyz answers with this status."""
        assert self.process is not None
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.said()
            with suppress(httpx2.HTTPError):
                if httpx2.get(f"{self.url}/readyz", timeout=20).status_code == status:
                    return
            time.sleep(0.05)
        raise AssertionError(self.said())

    def stop(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.terminate()
            try:
                return self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        return self.process.returncode

    def tell(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def log(self, event: str = "") -> list[dict[str, Any]]:
        """Return the lines of the log, all of them or those of one event."""
        lines = (line for line in self.logged.read_bytes().splitlines() if line.startswith(b"{"))
        found = [json.loads(line) for line in lines]
        return [line for line in found if not event or line.get("event") == event]

    def said(self) -> str:
        """Return what stands in the log and is no line of JSON: what an operator reads of a start that failed."""
        lines = self.logged.read_text().splitlines()
        return "\n".join(line for line in lines if not line.startswith("{"))

    def workers(self) -> dict[int, int]:
        """Return the process of each worker that came to serve, the last one of each place."""
        return {line["worker"]: line["process"] for line in self.log("a worker serves")}

    def call(self, tool: str = "query_claims", tenant: str = "broker-a", **arguments: Any) -> Call:
        return Call(tool, arguments, self.issuer.token(tenant_id=tenant), tenant)

    def recorded(self) -> set[str]:
        """Return the ids of all requests in the trail."""
        lines = (json.loads(line) for file in trail_files(self.trail) for line in file.read_bytes().splitlines())
        return {line["request"] for line in lines if "request" in line}


@contextmanager
def beside(stack: Stack, folder: Path, issuer: Issuer | None = None, **settings: Any) -> Generator[RealServer]:
    """Prepare a server on the database of a development stack, as `real_server` does."""
    database = stack.settings.database
    key = database.context_keys[0].get_secret_value()
    with real_server(folder, database.url.get_secret_value(), key, issuer, **settings) as server:
        yield server


@contextmanager
def real_server(
    folder: Path, database_url: str, context_key: str, issuer: Issuer | None = None, **settings: Any
) -> Generator[RealServer]:
    """Prepare a server of the sample's claims; nothing is started yet.

    `issuer` is one that runs; without it the server has its own. A setting that is None is left out of the file.
    """
    port = free_port()
    resource = f"http://127.0.0.1:{port}/mcp"
    with (
        Issuer(aud=resource, scope="claims:read", tenant_id="broker-a").running()
        if issuer is None
        else nullcontext(issuer) as issuer
    ):
        written = {
            "resource_url": resource,
            "port": port,
            "allowed_hosts": [f"127.0.0.1:{port}"],
            "catalog": [SAMPLE],
            "issuers": [{"issuer": issuer.url, "audiences": ["x"]}],
            "database": {"url": database_url, "context_keys": [context_key]},
            "limits": {"calls_per_minute_per_tenant": 0, "calls_per_minute_per_person": 0},
            "audit": {"path": "trails/audit.jsonl", "signing_key": KEY.text()},
        }
        server = RealServer(folder, port, issuer, {**written, **settings})
        try:
            yield server
        finally:
            if server.process is not None:
                server.stop()


def toml_lines(settings: Mapping[str, Any], table: str = "") -> Generator[str]:
    """Yield a settings file: top-level keys first, then a section for each table."""
    for name, value in settings.items():
        if value is not None and not isinstance(value, Mapping) and not _is_tables(value):
            yield f"{name} = {json.dumps(value)}"
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield f"[{table}{name}]"
            yield from toml_lines(value, f"{table}{name}.")
        elif _is_tables(value):
            for one in value:
                yield f"[[{table}{name}]]"
                yield from toml_lines(one, f"{table}{name}.")


def _is_tables(value: Any) -> bool:
    return isinstance(value, Sequence) and bool(value) and isinstance(value[0], Mapping)
