"""The head: a small file beside a live trail that names the last record; the process that locks it is the writer."""

import errno
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from server.audit.chain import FIRST
from server.audit.files import head_path, worker_paths


@dataclass(frozen=True, slots=True)
class HeadLine:
    """The content of a head: the number and hash of the last record, and the id of its chain."""

    number: int
    digest: str
    chain: str


class Head:
    """A head that this process holds locked until it ends."""

    def __init__(self, live: Path, file: int) -> None:
        """Keep the descriptor of a locked head."""
        self.live: Final = live
        self._file: Final = file

    @classmethod
    def taken(cls, path: Path) -> "Head":
        """Lock the first name of `path` that no other process holds; raises OSError."""
        for live in worker_paths(path):
            file = os.open(head_path(live), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(file)
                continue
            return cls(live, file)
        raise OSError(errno.EAGAIN, "running servers use every one of its file names")

    def write(self, number: int, digest: str, chain: str) -> None:
        """Name the last record; always the same number of bytes, so that nothing of an older line is left."""
        os.pwrite(self._file, f"{number:020d} {digest} {chain}\n".encode(), 0)

    def sync(self) -> None:
        """Wait until the disk has the head."""
        os.fdatasync(self._file)

    def close(self) -> None:
        """Release the name."""
        os.close(self._file)


def read_head(live: Path) -> HeadLine | None:
    """Return the content of the head beside `live`: empty when it is new, None when it is missing or unreadable."""
    try:
        text = head_path(live).read_text(encoding="ascii")
        if not text:
            return HeadLine(0, FIRST, "")
        number, digest, chain = text.split()
        return HeadLine(int(number), digest, chain)
    except (FileNotFoundError, ValueError):
        return None
