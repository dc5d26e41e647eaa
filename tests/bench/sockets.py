"""Which process holds how many of a port's connections, and how much memory it has: read from /proc (Linux)."""

import re
from pathlib import Path
from typing import Final

from peers.processor_time import tree

_ESTABLISHED: Final = "01"
_SOCKET: Final = re.compile(r"socket:\[(\d+)\]")


def connections_of(pid: int, port: int) -> dict[int, int]:
    """Return how many connections to `port` each process of the tree under `pid` holds; those with none as well."""
    wanted = _sockets_to(port)
    return {one: len(wanted & _sockets_of(one)) for one in tree(pid)}


def resident_mb(pid: int) -> float:
    """Return the resident memory of one process in megabytes (10^6 bytes)."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def _sockets_to(port: int) -> set[str]:
    """Return the inodes of the accepted connections."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if int(row[1].split(":")[1], 16) == port and row[3] == _ESTABLISHED}


def _sockets_of(pid: int) -> set[str]:
    found: set[str] = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        try:
            match = _SOCKET.fullmatch(str(file.readlink()))
        except OSError:  # closed meanwhile
            continue
        if match:
            found.add(match[1])
    return found
