"""Everything that is measured, running side by side on one PostgreSQL: our server, its peers, bare endpoints."""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import psycopg
from dataset import prepare
from processes import PEOPLE, free_port, issuer_running, person
from run import ERAS, ROOT, call, prepared, settings_file
from served import first_page
from telemetry import receiving

from peers import installed, toolbox
from peers.endpoint import Endpoint, started
from peers.floor_program import Floor
from peers.installed import NotRunError
from peers.names import BEFORE, FASTMCP, RECORDED, TOOLBOX
from peers.plain_database import prepare_plain
from peers.statement import Signed
from server.dev.folder import folder_lock
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.postgres.site import cluster_in, places_of
from server.dev.preparation import development_key

_LARGE: Final = "claims_1m"
_HERE: Final = Path(__file__).parent


@dataclass
class Field:
    """The servers, the floor where it compiles, the versions of the peers, and why others are not run."""

    endpoints: list[Endpoint] = field(default_factory=list)
    floor: Floor | None = None
    versions: dict[str, str] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)


class Builder:
    """Starts one after the other; what is missing on this machine is noted, and the others go on."""

    def __init__(self, stack: ExitStack, directory: Path, say: Any) -> None:
        """Start PostgreSQL and the issuer, and fill the databases."""
        self._stack: Final = stack
        self._directory: Final = directory
        self._say: Final = say
        stack.enter_context(folder_lock(directory))
        postgres = stack.enter_context(EmbeddedPostgres(directory / "postgres"))
        self._key: Final = development_key(directory / "context.key")
        self._issuer, self._resource = stack.enter_context(issuer_running(directory))
        self._tokens: Final = [self._issuer.mint(person(number)) for number in range(PEOPLE)]
        say("filling two times a million claims (the first time takes a minute)")
        self._url: Final = prepare(postgres, self._key)[_LARGE]
        self._plain_url: Final = prepare_plain(postgres)
        self._postmaster: Final = postmaster_of(directory / "postgres")
        self.field: Final = Field(versions={"PostgreSQL": _version_of(postgres)})

    def ours(self, name: str, more: str = "", *options: str, **variables: str) -> None:
        """Start `tenantgate serve` of this checkout, with `more` settings at the end of its file."""
        slug = name.replace(", ", "-")
        file = settings_file(self._directory, f"peers-{slug}", self._issuer.url, self._resource, self._url, self._key)
        file.write_text(file.read_text() + more)
        self._serve(name, ROOT, file, self._postmaster, *options, **variables)

    def recorded(self) -> None:
        """Start another one that writes an audit trail, shows metrics and sends traces to somebody who drops them."""
        for file in self._directory.glob("peers-audit*"):
            file.unlink()
        more, variables = recording(self._directory / "peers-audit.jsonl"), dict[str, str]()
        if find_spec("opentelemetry") and find_spec("opentelemetry.sdk"):
            endpoint = self._stack.enter_context(receiving())
            variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_SDK_DISABLED": "false"}
        self.ours(RECORDED, more, **variables)

    def other_checkout(self, root: Path) -> None:
        """Start `tenantgate serve` of the checkout at `root`, on its own databases."""
        folder = self._directory / f"against-{root.name}"
        other = prepared(root, folder, self._issuer.url, self._resource, self._stack)
        self._serve(BEFORE, root, Path(other.files[_LARGE]), postmaster_of(folder / "postgres"))

    def _serve(self, name: str, root: Path, settings: Path, postmaster: int, *options: str, **variables: str) -> None:
        command = [sys.executable, "-m", "server", "serve", "--config", str(settings), "--port", "{port}", *options]
        self._start(name, command, [call(ERAS[0], token) for token in self._tokens], postmaster, root, **variables)

    def toolbox(self) -> None:
        """Start MCP Toolbox."""
        program, self.field.versions[TOOLBOX] = installed.toolbox()
        file = self._directory / "toolbox.yaml"
        calls = [call(ERAS[0], token, {}) for token in self._tokens]
        toolbox.write_configuration(file, self._plain_url, self._issuer.url, self._resource)
        self._start(TOOLBOX, toolbox.command(program, file), calls)

    def fastmcp(self) -> None:
        """Start FastMCP."""
        python, self.field.versions[FASTMCP] = installed.fastmcp(ROOT / ".tenantgate" / "peers-venv")
        script = [str(python), str(_HERE / "fastmcp_server.py"), "{port}", self._plain_url]
        calls = [call(ERAS[0], token) for token in self._tokens]
        self._start(FASTMCP, [*script, self._issuer.url, self._resource], calls)

    def bare(self, name: str, how: str) -> None:
        """Start a bare endpoint that verifies a token `each` time or `once`."""
        file = self._directory / "bare-statement.json"
        self._signed().write(file)
        script = [sys.executable, str(_HERE / "bare_endpoint.py"), "{port}", str(file), self._url, self._resource, how]
        self._start(name, script, [bare_call(token) for token in self._tokens])

    def compile_floor(self) -> None:
        """Compile the floor."""
        self.field.floor = Floor(self._directory, self._signed(), self._url, self._postmaster)

    def attempt(self, name: str, start: Callable[[], None]) -> None:
        """Start one that this machine may lack, and say so when it does."""
        self._say(f"starting {name}")
        try:
            start()
        except NotRunError as error:
            self.field.not_run[name] = str(error)
            self._say(f"not run: {name}: {error}")

    def _signed(self) -> Signed:
        statement = first_page(self._url)
        return Signed(statement.text, statement.digest, 21, self._key.text(), self._issuer.url)

    def _start(
        self,
        name: str,
        command: list[str],
        requests: list[str],
        postmaster: int = 0,
        root: Path = ROOT,
        **variables: str,
    ) -> None:
        log = self._directory / f"peers-{name.replace(', ', '-').replace(' ', '-')}.log"
        variables["PYTHONPATH"] = os.pathsep.join([str(root), str(root / "tests" / "bench")])
        child, port = started(self._stack, log, command, root, **variables)
        requests = [request.replace("{port}", str(port)) for request in requests]
        endpoint = Endpoint(name, child, port, requests, postmaster or self._postmaster)
        endpoint.check()
        self.field.endpoints.append(endpoint)


def bare_call(token: str) -> str:
    """Return one whole HTTP request to a bare endpoint."""
    return f"POST /claims HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {token}\r\ncontent-length: 0\r\n\r\n"


def recording(trail: Path) -> str:
    """Return the settings of a server that writes its audit trail and shows metrics."""
    return f'[audit]\npath = "{trail}"\n[telemetry]\nmetrics_port = {free_port()}\n'


def postmaster_of(folder: Path) -> int:
    """Return the process id of the PostgreSQL that runs on `folder`."""
    files = [cluster_in(place) / "postmaster.pid" for place in places_of(folder)]
    return int(next(file for file in files if file.exists()).read_text().split()[0])


def _version_of(postgres: EmbeddedPostgres) -> str:
    with psycopg.connect(postgres.admin_url) as connection:
        row = connection.execute("SHOW server_version").fetchone()
    return str(row[0]) if row else "?"
