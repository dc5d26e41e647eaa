"""The processes of a measurement: servers, the load generator, the issuer; one line is answered by one line."""

import json
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from server.dev.issuer.application import DevelopmentIssuer
from server.dev.people import Person
from server.http.serving import Server, listen, server_config

PEOPLE: Final = 10
SCOPES: Final = ("claims:read", "policies:read")
_HERE: Final = Path(__file__).parent


class Process:
    """A child that answers one line for one line."""

    def __init__(self, *command: str, environment: dict[str, str], log: Path) -> None:
        """Start a script of this folder, or one that is named by its whole path."""
        self._ended = f"{' '.join(command)} ended; {log} says why"
        with log.open("wb") as errors:
            self._child = subprocess.Popen(
                [sys.executable, str(_HERE / command[0]), *command[1:]],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def ask(self, line: str) -> str:
        """Return the answer to `line`."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(line + "\n")
        self._child.stdin.flush()
        answer = self._child.stdout.readline()
        if not answer:
            raise RuntimeError(self._ended)
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
        """Return calls, calls a second, p50 and p99 in milliseconds, and the server's CPU in microseconds a call."""
        before = float(self.process.ask("cpu"))
        answer = json.loads(load.ask(json.dumps({**self._job, "clients": clients, "seconds": seconds})))
        if "error" in answer:
            raise RuntimeError(answer["error"])
        spent = float(self.process.ask("cpu")) - before
        calls = answer.pop("all_calls")
        return {**answer, "calls": calls, "cpu_us": spent / calls * 1e6}


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


def free_port() -> int:
    """Return a port that is free at the moment."""
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    listener.close()
    return port
