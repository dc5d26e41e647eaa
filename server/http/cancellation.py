"""How the call of a client who left is ended."""

import asyncio
from types import TracebackType


class Cancellation:
    """A context that `cancel` ends: what runs in it is cancelled, and the code after it goes on.

    Cancelling before it is entered ends it at its first wait; afterwards, it does nothing. A part that cancels the
    task itself is not held up.
    """

    __slots__ = ("_cancelled_before", "_is_over", "_is_wanted", "_task")

    def __init__(self) -> None:
        """Wait to be entered, once."""
        self._task: asyncio.Task[object] | None = None
        self._is_wanted = False
        self._is_over = False
        self._cancelled_before = 0

    def cancel(self) -> None:
        """Cancel what runs in the context."""
        if not self._is_wanted and not self._is_over:
            self._is_wanted = True
            if self._task is not None:
                self._task.cancel()

    def __enter__(self) -> None:
        self._task = task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only a task can be cancelled")
        self._cancelled_before = task.cancelling()
        if self._is_wanted:
            task.cancel()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        task, self._task, self._is_over = self._task, None, True
        if not self._is_wanted or task is None:
            return False
        # As asyncio.timeout does: another cancellation that came meanwhile goes on.
        remaining = task.uncancel()
        return kind is asyncio.CancelledError and remaining <= self._cancelled_before
