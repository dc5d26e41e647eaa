"""Force the files of a trail to the disk in a thread: a slow disk holds up no request."""

import errno
import os
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

# After this time without confirmation, records could be lost: nothing more is recorded until the disk confirms.
LONGEST_S: Final = 5.0


class Flush:
    """Flushes one after the other; `check` raises the error of one that failed or takes too long."""

    def __init__(self) -> None:
        """Begin without a thread; the first flush starts it."""
        self._thread: Final = ThreadPoolExecutor(1, "audit-flush")
        self._begun: Final = deque[tuple[float, Future[None]]]()
        # After an error, the next flush is waited for: nothing is recorded until one has succeeded.
        self._is_doubted = False

    def begin(self, files: Sequence[int]) -> None:
        """Begin to force the files behind these descriptors to the disk; raises OSError as `check` does."""
        self.check()
        # The files may be closed meanwhile, and another one may get their number.
        begun = self._thread.submit(_flush, [os.dup(file) for file in files])
        self._begun.append((time.monotonic(), begun))
        if self._is_doubted:
            self.wait()
            self._is_doubted = False

    def check(self) -> None:
        """Raise OSError when a flush failed, or has taken too long and has not ended."""
        while self._begun:
            began_s, flush = self._begun[0]
            if not flush.done():
                if time.monotonic() - began_s > LONGEST_S:
                    raise OSError(errno.ETIMEDOUT, "the disk does not confirm what was written")
                return
            self._begun.popleft()
            self._is_doubted = self._is_doubted or flush.exception() is not None
            flush.result()

    def wait(self) -> None:
        """Wait for every flush; raises OSError when one failed."""
        for _, flush in tuple(self._begun):
            flush.exception()
        self.check()

    def close(self) -> None:
        """Wait for every flush, and end the thread."""
        self._thread.shutdown()


def _flush(copies: Sequence[int]) -> None:
    try:
        for file in copies:
            os.fdatasync(file)
    finally:
        for file in copies:
            os.close(file)
