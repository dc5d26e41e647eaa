"""What a test logs itself, without what the servers in other threads of its process log meanwhile."""

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
