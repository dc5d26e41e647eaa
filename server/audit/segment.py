"""One file of the trail while it is written: whole lines only, and a check that the file is still there."""

import errno
import fcntl
import os
import stat
from enum import Enum
from pathlib import Path
from typing import Final

from server.audit.chain import LONGEST_LINE_BYTES


class Fate(Enum):
    """What happened to a file that differs from what this process wrote; the value is the recorded reason."""

    MOVED = "moved"
    DELETED = "deleted"
    REPLACED = "replaced"
    CHANGED = "changed"


class Segment:
    """An open file to which only this process appends."""

    def __init__(self, live: Path, *, new: bool) -> None:
        """Open the file; with `new`, create it or take an empty one; raises OSError."""
        self._live: Final = str(live)
        begun = live.exists()
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._file: Final = os.open(live, flags | (0 if begun else os.O_EXCL), 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = _own(os.fstat(self._file), new=new)
        except OSError:
            os.close(self._file)
            raise
        self.size = found.st_size
        self._inode: Final = found.st_ino

    def fate(self) -> Fate | None:
        """Return None while the file is under its name as this process left it."""
        try:
            found = os.stat(self._live)  # noqa: PTH116  # a Path would double the cost, for every record
        except FileNotFoundError:
            found = None
        if found is not None and found.st_ino == self._inode and found.st_size == self.size:
            return None
        if not os.fstat(self._file).st_nlink:
            return Fate.DELETED
        if found is not None and found.st_ino == self._inode:
            return Fate.CHANGED
        return Fate.REPLACED if found is not None and found.st_size else Fate.MOVED

    def write(self, line: bytes) -> None:
        """Write a whole line; on a full disk, write none of it: the next line must not follow half a record."""
        written = os.write(self._file, line)
        if written != len(line):
            os.ftruncate(self._file, self.size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.size += written

    def whole_end(self) -> bytes:
        """Return the last whole line; drop half a line after it, left by a crash before its request was answered."""
        start = max(0, self.size - LONGEST_LINE_BYTES)
        end = os.pread(self._file, self.size - start, start)
        whole = end[: end.rfind(b"\n") + 1]
        if dropped := len(end) - len(whole):
            os.ftruncate(self._file, self.size - dropped)
            self.size -= dropped
        return whole[whole.rfind(b"\n", 0, -1) + 1 :]

    def move_to(self, place: Path) -> None:
        """Rename the file; raises OSError."""
        os.rename(self._live, place)  # noqa: PTH104

    def sync(self) -> None:
        """Wait until the disk has everything that was written."""
        os.fdatasync(self._file)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _own(found: os.stat_result, *, new: bool) -> os.stat_result:
    """Return `found`; raise OSError when it is not a file that this process may write to."""
    if not stat.S_ISREG(found.st_mode) or (new and found.st_size):
        raise OSError(errno.EEXIST, "another file is in its place; move that file away")
    return found
