"""PostgreSQL processes that a killed launcher left behind on a data directory."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from server.dev.postgres.child import LADDER
from server.errors import StartupError


def stop_leftover(cluster: Path) -> None:
    """End every PostgreSQL process on `cluster` and remove a stale postmaster.pid; StartupError if one does not end."""
    lock = cluster / "postmaster.pid"
    for number, patience_s in LADDER:
        running = processes_on(cluster)
        if not running:
            break
        # The postmaster ends its own workers; SIGINT means something else to them. A killed postmaster cannot end them.
        targets = running if number == signal.SIGKILL else [pid for pid in running if pid == _postmaster(lock)]
        for pid in targets:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        _wait_until_gone(cluster, patience_s)
    if running := processes_on(cluster):
        raise StartupError(
            f"PostgreSQL (pid {running[0]}) still runs on {cluster} and cannot be stopped; stop that process first."
        )
    # No process works here: the number in that file may now be another program's, and PostgreSQL would refuse to start.
    lock.unlink(missing_ok=True)


def processes_on(cluster: Path) -> list[int]:
    """Every live `postgres` process that works in this data directory; a process number alone proves nothing."""
    if not cluster.is_dir():
        return []
    if not Path("/proc/self/cwd").exists():
        return _listed_on(cluster)
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _works_on(entry, cluster)]


def _works_on(process: Path, cluster: Path) -> bool:
    """Whether a /proc entry is PostgreSQL in `cluster`: its working directory is always its data directory."""
    # The process ended, is a zombie, or belongs to another account: in all these cases it is not ours.
    with contextlib.suppress(OSError):
        program = (process / "exe").readlink().name.removesuffix(" (deleted)")
        return program == "postgres" and (process / "cwd").samefile(cluster)
    return False


def _listed_on(cluster: Path) -> list[int]:
    """Ask `ps` where there is no /proc: only the postmaster keeps its command line, and its workers end after it."""
    command = ["/bin/ps", "-A", "-ww", "-o", "pid=", "-o", "command="]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    rows = (line.split(maxsplit=1) for line in listed.stdout.splitlines())
    return [int(row[0]) for row in rows if f"/postgres -D {cluster} " in row[-1]]


def _postmaster(lock: Path) -> int | None:
    """Read the postmaster's process number from the first line of its lock file."""
    try:
        return int(lock.read_text(encoding="utf-8").split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _wait_until_gone(cluster: Path, patience_s: float) -> None:
    """Wait by polling: only a parent process is notified of an end, and the parent was another process."""
    deadline = time.monotonic() + patience_s
    while processes_on(cluster) and time.monotonic() < deadline:
        time.sleep(0.02)
