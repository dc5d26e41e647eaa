"""The end of one chain on the disk: the current file, its head, and the record that the next one follows."""

import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from server.audit.chain import FIRST, lines, opened, sealed
from server.audit.files import rotated_path
from server.audit.head import Head, read_head
from server.audit.segment import Fate, Segment
from server.errors import StartupError


class Writer:
    """Writes records one after the other; after a failure the chain continues with the next record."""

    def __init__(self, path: Path) -> None:
        """Take the first free name of `path` and continue its file.

        Raises StartupError when the file does not end as its head says, and OSError.
        """
        self._head: Final = Head.taken(path)
        self.live: Final = self._head.live
        self._segment: Segment | None = None
        self.number, self.digest, self.chain = 0, FIRST, ""
        # The number of the first record in the file.
        self.first = 1
        self.resumed = False
        try:
            self._resume()
        except (OSError, StartupError):
            self.close()
            raise

    @property
    def is_open(self) -> bool:
        """Whether there is a file to write to."""
        return self._segment is not None

    @property
    def size(self) -> int:
        """The bytes of the file."""
        return self._segment.size if self._segment else 0

    def fate(self) -> Fate | None:
        """Return what happened to the file when it is not as this process left it, else None."""
        return self._segment.fate() if self._segment else None

    def begin(self, reason: str) -> None:
        """Begin an epoch, in a new file if none is open; raises OSError."""
        fresh = self._segment is None
        if fresh:
            self._segment = Segment(self.live, new=True)
            self.first = self.number + 1
        try:
            whose = {"chain": self.chain, "name": self.live.name, "process": os.getpid()}
            self.write({"event": "begin", "reason": reason, **whose})
        except OSError:
            if fresh:
                self.leave()
            raise

    def write(self, record: Mapping[str, Any]) -> None:
        """Write one record; raises OSError."""
        assert self._segment is not None  # noqa: S101  # the trail ensures it
        number = self.number + 1
        line, digest = sealed({"number": number, "time": round(time.time(), 3), **record}, self.digest)
        self._segment.write(line)
        self.number, self.digest = number, digest
        self._head.write(number, digest, self.chain)

    def set_aside(self) -> None:
        """Keep the file under another name; raises OSError."""
        if self._segment is not None:
            self._segment.move_to(rotated_path(self.live, self.first))
        self.leave()

    def leave(self) -> None:
        """Stop writing to this file."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def sync(self) -> None:
        """Wait until the disk has everything; raises OSError."""
        if self._segment is not None:
            self._segment.sync()
            self._head.sync()

    def close(self) -> None:
        """Close the files and release the name."""
        self.leave()
        self._head.close()

    def _resume(self) -> None:
        kept = read_head(self.live)
        line = b""
        if self.live.exists() and self.live.stat().st_size:
            self._segment = Segment(self.live, new=False)
            line = self._segment.whole_end()
        if not line:
            # Nothing was written yet, or the file was moved away while no server ran.
            self.leave()
            if kept is None:
                raise StartupError(
                    f"{self.live}.head cannot be read; move it and the audit trail to a safe place and start again"
                )
            self.number, self.digest = kept.number, kept.digest
            self.chain = kept.chain or secrets.token_hex(8)
            return
        last, begin = opened(line), opened(next(lines(self.live)))
        if last is None or begin is None or "chain" not in begin:
            raise StartupError(
                f"the audit trail {self.live} is incomplete or of an earlier version; move it and FILE.head away"
            )
        self.number, self.digest = last["number"], last["hash"]
        self.chain, self.first, self.resumed = str(begin["chain"]), begin["number"], True
        # The process may have ended between a record and its head, so the head may be one record behind.
        if kept is None or kept.chain != self.chain or kept.number not in {self.number, self.number - 1}:
            raise StartupError(f"the audit trail {self.live} does not end as FILE.head says; move both to a safe place")
