"""The names of a trail's files: one live file for each worker, and the moved files beside it."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

MOST_WORKERS: Final = 64


def worker_paths(path: Path) -> Iterator[Path]:
    """Yield the live names of the setting `path`: `audit.jsonl`, `audit.1.jsonl`, and so on."""
    yield path
    for number in range(1, MOST_WORKERS):
        yield path.with_name(f"{path.stem}.{number}{path.suffix}")


def head_path(live: Path) -> Path:
    """Return the file beside a live one that holds the number and hash of its last record."""
    return live.with_name(live.name + ".head")


def rotated_path(live: Path, first: int) -> Path:
    """Return the new name for a live file that is set aside and begins with record number `first`."""
    return live.with_name(f"{live.name}.{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.{first:012d}")


def trail_files(path: Path) -> list[Path]:
    """Return every file of the trail, of all workers, live or moved, ordered by name.

    Moved files are our own rotated files and those of logrotate (`audit.jsonl.1`, `audit.jsonl-20261126.gz`).
    """
    siblings = (one for one in path.absolute().parent.iterdir() if one.suffix != ".head")
    return sorted(one for one in siblings if live_name(path, one) is not None and one.is_file())


def size_of(path: Path) -> int:
    """Return the bytes of every file of the trail; 0 where they cannot be read, which its reader reports."""
    try:
        return sum(file.stat().st_size for file in trail_files(path))
    except OSError:
        return 0


def live_name(path: Path, file: Path) -> str | None:
    """Return the live name that `file` has or had, from its own name; None for a file of another kind."""
    names = [one.name for one in worker_paths(path)]
    found = [name for name in names if file.name == name or file.name.startswith((f"{name}.", f"{name}-"))]
    return max(found, key=len, default=None)
