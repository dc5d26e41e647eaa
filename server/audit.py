"""The audit trail: one record a decision, chained by hashes, so that a change anywhere shows.

Each line is a JSON object whose `hash` covers its own text and the hash of the line before. A file beside the trail
(`FILE.head`) holds the number and hash of the last record, so that a cut tail shows as well. Whoever can rewrite both
files can rewrite history: ship them to a system that the server cannot write to.
"""

import errno
import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from server.errors import AuditError, StartupError

_FIRST: Final = "0" * 64
_SEAL: Final = ',"hash":"'


@dataclass(frozen=True, slots=True)
class Break:
    """Where a trail does not hold; `line` counts from 1."""

    line: int
    problem: str


class AuditTrail:
    """Appends records to one file; one process a file, for a chain has one end."""

    def __init__(self, path: Path) -> None:
        """Continue the trail at `path`; raise StartupError when it is broken or cannot be written."""
        try:
            found = list(_breaks(path)) if path.exists() else []
            if found:
                raise StartupError(f"the audit trail {path} is broken at line {found[0].line}; move it away, keep it")
            self._number, self._hash = _end(path) if path.exists() else (0, _FIRST)
            self._trail: Final = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._head: Final = os.open(_head_path(path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise StartupError(f"the audit trail {path} cannot be written ({reason}); correct audit.path") from error

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record; raise AuditError when that fails, so that nothing is released unrecorded."""
        entry = {"number": self._number + 1, "time": round(time.time(), 3), **record, "previous": self._hash}
        body = json.dumps(entry, separators=(",", ":"), default=str)[:-1]
        digest = hashlib.sha256(body.encode()).hexdigest()
        try:
            self._write(f'{body}{_SEAL}{digest}"}}\n'.encode())
            self._number, self._hash = self._number + 1, digest
            os.pwrite(self._head, f"{self._number:020d} {digest}\n".encode(), 0)
        except OSError as error:
            raise AuditError from error

    def close(self) -> None:
        """Close the files."""
        os.close(self._trail)
        os.close(self._head)

    def _write(self, line: bytes) -> None:
        """Write a whole line or, on a disk that is full, none of it: the next one must not follow half a record."""
        written = os.write(self._trail, line)
        if written != len(line):
            os.ftruncate(self._trail, os.fstat(self._trail).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def verify(path: Path) -> tuple[int, Break | None]:
    """Return how many records hold from the start, and the first break, if there is one; raise StartupError."""
    try:
        first = next(_breaks(path), None)
        with path.open(encoding="utf-8") as file:
            lines = sum(1 for _ in file)
    except (OSError, UnicodeDecodeError) as error:
        raise StartupError(f"the audit trail {path} cannot be read: {error}") from error
    return (lines if first is None else first.line - 1), first


def _breaks(path: Path) -> Iterator[Break]:
    number, previous, before = 0, _FIRST, (0, _FIRST)
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            body, seal, rest = line.rpartition(_SEAL)
            if not seal or rest[64:] != '"}\n' or hashlib.sha256(body.encode()).hexdigest() != rest[:64]:
                yield Break(number, "the record was changed or is not whole")
                return
            entry = json.loads(body + "}")
            if entry["previous"] != previous or entry["number"] != number:
                yield Break(number, "a record before this one was removed, added or moved")
                return
            before = (number - 1, previous)
            previous = rest[:64]
    # The process may have died between writing a record and its head: one record past the head is a whole one.
    if _head(path) not in {(number, previous), before}:
        yield Break(number + 1, "records after this one were cut off, or FILE.head was changed")


def _end(path: Path) -> tuple[int, str]:
    """Return the number and hash of the last record of an unbroken trail."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return len(lines), lines[-1].rpartition(_SEAL)[2][:64] if lines else _FIRST


def _head_path(path: Path) -> Path:
    return path.with_name(path.name + ".head")


def _head(path: Path) -> tuple[int, str]:
    try:
        number, _, digest = _head_path(path).read_text(encoding="ascii").strip().partition(" ")
        return int(number), digest
    except (FileNotFoundError, ValueError):
        return -1, ""
