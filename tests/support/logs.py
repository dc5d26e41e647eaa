"""Where the servers in a test's process log, and what a test logs itself, without what their threads log meanwhile."""

import io
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager

from structlog import DropEvent
from structlog.testing import capture_logs
from structlog.typing import EventDict, WrappedLogger


@contextmanager
def own_logs() -> Generator[list[EventDict]]:
    """Yield the list of what this thread logs from now on."""
    own = threading.get_ident()

    def only_own(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        if threading.get_ident() != own:
            raise DropEvent
        return event

    with capture_logs(processors=[only_own]) as lines:
        yield lines


class StandardOutput(io.TextIOBase):
    """Writes to the standard output of the moment, which pytest replaces, closes and frees between tests.

    print() of CPython 3.11 holds no reference to it while it writes. When a server's thread printed at that
    moment, the process died.
    """

    def write(self, text: str, /) -> int:
        now = sys.stdout
        try:
            now.write(text)
            now.flush()
        except (OSError, ValueError):
            if not now.closed:
                raise
            # The test is over.
        return len(text)
