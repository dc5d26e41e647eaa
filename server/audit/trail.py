"""The audit trail: one record per decision, chained by hashes, so that any change is found.

Each line is a JSON object whose `hash` covers its own text and the hash of the line before. A file beside the trail
(`FILE.head`) holds the number and hash of the last record, so that records removed at the end are found too. Whoever
can rewrite both files can rewrite history: ship them to a system that the server cannot write to.
"""

import errno
import fcntl
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
# A record names people, tools and outcomes; it is never near this long.
_LONGEST_RECORD_BYTES: Final = 65_536
_MOST_WORKERS: Final = 64


@dataclass(frozen=True, slots=True)
class Break:
    """Where a trail does not hold; `line` counts from 1."""

    line: int
    problem: str


class AuditTrail:
    """Appends records to one file, which no other process writes to meanwhile."""

    def __init__(self, path: Path) -> None:
        """Continue the trail at `path`, or at the next name (`audit.1.jsonl`) where another worker holds it.

        Raises StartupError when the trail's end does not hold or cannot be written.
        """
        try:
            self.path, self._head = _held(path)
            self._trail: Final = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._number, self._hash = _last(self._trail)
            kept, _ = _head_line(self.path)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise StartupError(f"the audit trail {path} cannot be written ({reason}); correct audit.path") from error
        # The process may have died between a record and its head, so the head may be one behind.
        if kept not in {self._number, self._number - 1}:
            self.close()
            raise StartupError(f"the audit trail {self.path} does not end where it did; move it away and keep it")

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
    number, previous, before = 0, _FIRST, (0, _FIRST)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                record = _record(line)
                if record is None:
                    return number - 1, Break(number, "the record was changed or is not whole")
                if (record["previous"], record["number"]) != (previous, number):
                    return number - 1, Break(number, "a record before this one was removed, added or moved")
                before = (number - 1, previous)
                previous = record["hash"]
        if _head_line(path) not in {(number, previous), before}:
            return number, Break(number + 1, "records after this one were cut off, or FILE.head was changed")
    except OSError as error:
        raise StartupError(f"the audit trail {path} cannot be read: {error.strerror}") from error
    return number, None


def _record(line: bytes) -> dict[str, Any] | None:
    """Return one line's record when its own hash holds."""
    body, seal, rest = line.decode("utf-8", "replace").rpartition(_SEAL)
    if not seal or rest[64:] != '"}\n' or hashlib.sha256(body.encode()).hexdigest() != rest[:64]:
        return None
    return json.loads(body + "}") | {"hash": rest[:64]}


def _held(path: Path) -> tuple[Path, int]:
    """Return the first name that no other process holds, and its head file, locked until this process ends."""
    for candidate in _names(path):
        head = os.open(_head_path(candidate), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(head, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(head)
            continue
        return candidate, head
    raise OSError(errno.EAGAIN, "every name of it is held by a running server")


def _names(path: Path) -> Iterator[Path]:
    yield path
    for number in range(1, _MOST_WORKERS):
        yield path.with_name(f"{path.stem}.{number}{path.suffix}")


def _last(trail: int) -> tuple[int, str]:
    """Return the number and hash of the last record; StartupError when that one is not whole."""
    size = os.fstat(trail).st_size
    end = os.pread(trail, _LONGEST_RECORD_BYTES, max(0, size - _LONGEST_RECORD_BYTES))
    if not end:
        return 0, _FIRST
    record = _record(end.splitlines(keepends=True)[-1])
    if record is None:
        raise StartupError("the last record of the audit trail is not whole; move the trail away and keep it")
    return record["number"], record["hash"]


def _head_path(path: Path) -> Path:
    return path.with_name(path.name + ".head")


def _head_line(path: Path) -> tuple[int, str]:
    try:
        number, _, digest = _head_path(path).read_text(encoding="ascii").strip().partition(" ")
        return int(number), digest
    except (FileNotFoundError, ValueError):
        return (0, _FIRST) if not path.stat().st_size else (-1, "")
