"""One run of `tenantgate serve` from its start, and what it spends its time on."""

import http.client
import os
import pstats
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from processes import free_port
from run import ROOT

_PATIENCE_S: Final = 120.0
_LINES: Final = 25
_READY: Final = ("GET", "/readyz", {"host": "bench"})
# What the server does before it listens, by the names of the functions.
_STAGES: Final = (
    "load_settings",
    "load_catalog",
    "problems_of",
    "offered",
    "examine",
    "sql_checks",
    "read_facts",
    "create_app",
    "describe",
)


class Start:
    """A process that begins now; times are seconds from its start."""

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

    def until_ready(self) -> float:
        """Return when /readyz answers that isolation is proved."""
        return self.until(*_READY)[0]

    def until(self, method: str, path: str, headers: dict[str, str], body: str | None = None) -> tuple[float, bytes]:
        """Ask until the answer is 200; return when it was there, and its body."""
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

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    def cpu_s(self) -> float:
        """Return the CPU time that it has used so far (proc(5), stat), or 0 where the system has no such file."""
        file = Path(f"/proc/{self._child.pid}/stat")
        if not file.exists():
            return 0.0
        fields = file.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """End it as Ctrl+C does, so that a profile is written."""
        self._child.send_signal(signal.SIGINT)
        self._child.wait(30)


def profiled(settings: Path, directory: Path) -> dict[str, dict[str, float]]:
    """Return what cProfile sees of the main thread: seconds of whole stages, and of the dearest functions alone."""
    profile = directory / "startup.prof"
    _ready_once(settings, directory / "startup-profile.log", "-m", "cProfile", "-o", str(profile))
    stats: dict[Any, Any] = pstats.Stats(str(profile)).stats  # pyright: ignore[reportAttributeAccessIssue]
    stages: dict[str, float] = dict.fromkeys(_STAGES, 0.0)
    own: dict[str, float] = {}
    for (source, _line, function), (_, calls, own_s, whole_s, _) in stats.items():
        if function in stages and "/server/" in source:
            stages[function] += whole_s
        own[f"{function if source == '~' else f'{Path(source).name}:{function}'} ({calls} calls)"] = own_s
    return {
        "profiled_stages_s": {name: round(whole_s, 3) for name, whole_s in stages.items()},
        "profiled_own_s": _dearest(own),
    }


def imports_ms(settings: Path, directory: Path) -> dict[str, float]:
    """Return the milliseconds that importing takes by package, without what it imports itself; the dearest ones."""
    log = directory / "startup-imports.log"
    _ready_once(settings, log, "-X", "importtime")
    spent: dict[str, float] = {}
    for own_us, name in re.findall(r"import time: +(\d+) \| +\d+ \| +(\S+)", log.read_text(errors="replace")):
        package = name.partition(".")[0]
        spent[package] = spent.get(package, 0) + int(own_us) / 1000
    return {"all": round(sum(spent.values())), **_dearest(spent)}


def _ready_once(settings: Path, log: Path, *options: str) -> None:
    start = Start(settings, log, *options)
    try:
        start.until_ready()
    finally:
        start.stop()


def _dearest(spent: dict[str, float]) -> dict[str, float]:
    ordered = sorted(spent.items(), key=lambda one: -one[1])
    return {name: round(figure, 3) for name, figure in ordered[:_LINES]}
