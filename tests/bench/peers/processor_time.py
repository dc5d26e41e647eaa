"""CPU time of a process and of everything that it started, as proc(5) counts it."""

import os
import resource
from pathlib import Path
from typing import Final

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PROC: Final = Path("/proc")


def is_counted() -> bool:
    """Whether this system counts it where we look."""
    return Path("/proc/self/stat").exists()


def seconds_of(pid: int) -> float:
    """Return user and system seconds of `pid`, of its descendants, and of those of them that have ended."""
    processes = _processes()
    return sum(processes[one][1] for one in _tree(pid, processes))


def tree(pid: int) -> list[int]:
    """Return `pid` and its descendants that run now."""
    return _tree(pid, _processes())


def seconds_of_children() -> float:
    """Return what the children of this process used that have ended; finer than the ticks of the others."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _processes() -> dict[int, tuple[int, float]]:
    """Return the parent and the seconds of each process of this machine."""
    found: dict[int, tuple[int, float]] = {}
    for folder in _PROC.iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            # State, parent, …; own user and system time, and that of children which were waited for.
            found[int(folder.name)] = int(fields[1]), sum(map(int, fields[11:15])) / _TICKS_PER_S
    return found


def _tree(pid: int, processes: dict[int, tuple[int, float]]) -> list[int]:
    wanted, found = [pid], list[int]()
    while wanted:
        one = wanted.pop()
        if one in processes:
            found.append(one)
        wanted += [child for child, (parent, _) in processes.items() if parent == one]
    return found
