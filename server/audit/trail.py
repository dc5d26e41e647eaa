"""The audit trail: one record per decision, written before its answer is sent, chained so that any change is found.

docs/audit.md describes its files. A record that cannot be written, or a file that was taken away, is always an
error.
"""

import errno
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Final

from server.audit.keys import TrailSigner
from server.audit.rules import TrailRules
from server.audit.segment import Fate
from server.audit.signing import Signing
from server.audit.writer import Writer
from server.errors import AuditError, StartupError

_SAID: Final = {
    Fate.DELETED: "the file was deleted or replaced; records are lost",
    Fate.CHANGED: "another program changed the file, which was moved aside",
    Fate.REPLACED: "another file is in its place",
}


class AuditTrail:
    """Appends records to one file, to which no other process writes meanwhile."""

    def __init__(self, path: Path, key: TrailSigner | None = None, rules: TrailRules | None = None) -> None:
        """Continue the trail at `path`, or at the next name (`audit.1.jsonl`) where another worker holds it.

        Without `key` there are no checkpoints. Raises StartupError when the trail's end does not verify or cannot be
        written.
        """
        # Why nothing can be recorded now; None when recording works.
        self.problem: str | None = None
        self._rules: Final = rules or TrailRules()
        # Why the next file begins.
        self._reason = "start"
        # The number of records since the last checkpoint.
        self._unsealed = 0
        self._sealed_at = time.monotonic()
        try:
            self._writer: Final = Writer(path)
            self._before: Final = self._writer.number
            with ExitStack() as on_failure:
                on_failure.callback(self._writer.close)
                self._signing: Final = Signing(key, self._writer, path, self._rules) if key else None
                self._unsealed = self._signing.reload() if self._signing else 0
                self._begin()
                on_failure.pop_all()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise StartupError(f"the audit trail {path} cannot be written ({reason}); correct audit.path") from error

    @property
    def path(self) -> Path:
        """The file that is written."""
        return self._writer.live

    @property
    def records(self) -> int:
        """How many records this process has written."""
        return self._writer.number - self._before

    @property
    def unsealed(self) -> int:
        """The number of records since the last checkpoint."""
        return self._unsealed

    @property
    def sealed_ago_s(self) -> float:
        """Seconds since the last checkpoint was written, or the disk was last synchronised."""
        return max(0.0, time.monotonic() - self._sealed_at)

    def append(self, record: Mapping[str, Any]) -> None:
        """Write one record; raise AuditError when that fails, so that nothing is answered unrecorded."""
        try:
            self._look()
            self._write(record)
        except OSError as error:
            raise self._failed(error) from error
        self.problem = None

    def tick(self) -> None:
        """Do what is due without a new record: check the file, sign, rotate, retry after a failure.

        Call it about once a second. Raises AuditError as `append` does.
        """

        def due() -> None:
            if self.problem is not None:
                if self._rules.fsync != "never":
                    # Otherwise there would be such a record each second while the disk fails.
                    self._writer.sync()
                self._write({"event": "resumed", "problem": self.problem})
            if self._unsealed and time.monotonic() >= self._seal_at:
                self._seal()
            if time.monotonic() >= self._rotate_at:
                self._rotate("time")

        self._guarded(due)

    def rotate(self) -> None:
        """Begin a new file now; raise AuditError when that fails."""
        self._guarded(lambda: self._rotate("signal"))

    def close(self) -> None:
        """Sign what is not signed yet and close the files."""
        with suppress(OSError):
            if self._writer.is_open and self._writer.fate() is None and self._unsealed:
                self._seal()
        self._writer.close()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            self._look()
            work()
        except OSError as error:
            raise self._failed(error) from error
        self.problem = None

    def _failed(self, error: OSError) -> AuditError:
        self.problem = error.strerror or type(error).__name__
        return AuditError()

    def _look(self) -> None:
        """Make sure that the file is there, as this process left it, and is not full."""
        if not self._writer.is_open:
            self._begin()
        elif (fate := self._writer.fate()) is not None:
            self._leave(fate)
        elif self._writer.size >= self._rules.rotate_bytes:
            self._rotate("size")
        elif self._unsealed >= self._rules.checkpoint_records:
            self._seal()

    def _leave(self, fate: Fate) -> None:
        """Begin a new file after the old one was taken away; operators may move it."""
        self._reason = fate.value
        if fate is Fate.MOVED:
            self._seal()
        if fate is Fate.CHANGED:
            self._writer.set_aside()
        self._writer.leave()
        self._begin()
        if fate in _SAID:
            # Raised once although the trail goes on: the operator must know.
            raise OSError(errno.ESTALE, _SAID[fate])

    def _rotate(self, reason: str) -> None:
        self._rotate_at = time.monotonic() + self._rules.rotate_s
        if self._writer.number > self._begun:
            self._seal()
            self._reason = reason
            self._writer.set_aside()
            self._begin()

    def _begin(self) -> None:
        """Begin an epoch: a new file, or this process's part of one that another process left."""
        if self._unsealed and self._signing and self._writer.is_open:
            self._seal()
        before = self._writer.digest
        self._writer.begin(self._reason)
        if self._signing:
            self._signing.begin(before)
        # A checkpoint is due before the next record, even if it fails now.
        self._unsealed = self._rules.checkpoint_records
        self._seal()
        self._reason = "start"
        self._begun = self._writer.number
        self._rotate_at = time.monotonic() + self._rules.rotate_s

    def _write(self, record: Mapping[str, Any]) -> None:
        self._writer.write(record)
        self._unsealed += 1
        if self._signing:
            self._signing.add(record.get("tenant"))
        # Last: where this fails, the record is in the file all the same, and belongs into the next checkpoint.
        if self._rules.fsync == "record":
            self._writer.sync()

    def _seal(self) -> None:
        """Write a checkpoint, if there is a key, and synchronise the disk."""
        if self._signing:
            self._signing.write_checkpoint()
        if self._rules.fsync != "never":
            self._writer.sync()
        self._unsealed = 0
        self._sealed_at = time.monotonic()
        self._seal_at = self._sealed_at + self._rules.checkpoint_s
