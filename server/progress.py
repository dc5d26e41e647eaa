"""The progress of a command that may take longer than a second, on standard error and nowhere else.

On a terminal it is one line that moves and is removed at the end. Through a pipe, a step is one plain line, and only
once the command has taken a while, so that short commands write nothing. What a command prints stays clean.
"""

import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from rich.text import Text

# Through a pipe, a command that takes less time than this writes nothing.
PATIENCE_S: Final = 5.0
Clock = Callable[[], float]


class Progress:
    """Shows nothing: for a caller that has nobody to show it to."""

    def step(self, text: str, total: float | None = None) -> None:
        """Begin a step, with `total` as the amount of its work where that is known."""

    def advance(self, amount: float = 1) -> None:
        """Add to what is done of the step."""

    def paused(self) -> AbstractContextManager[None]:
        """Return a context in which the terminal may be written to."""
        return nullcontext()


# For a caller that shows no progress.
SILENT: Final = Progress()


class PlainLines(Progress):
    """Writes one line for each step that begins after the command has taken a while."""

    def __init__(self, write: Callable[[str], object], clock: Clock = time.monotonic) -> None:
        """Write to `write`; the command begins now."""
        self._write: Final = write
        self._clock: Final = clock
        self._began: Final = clock()
        self._said = ""

    def step(self, text: str, total: float | None = None) -> None:
        """Write the step's line, unless it is early or the same as before; what follows a colon is only detail."""
        del total
        text = text.partition(":")[0]
        if text != self._said and self._clock() - self._began >= PATIENCE_S:
            self._said = text
            self._write(f"{text} ...\n")

    def finish(self) -> None:
        """Write how long the command took, if it wrote anything."""
        if self._said:
            self._write(f"done after {self._clock() - self._began:.0f} s\n")


class Moving(Progress):
    """One line of a terminal: a spinner, the time, how much is done where that is known, and the step."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        """Prepare the line; the command begins now."""
        from rich.live import Live
        from rich.spinner import Spinner

        from server.terminal import has_marks, screen

        self._clock: Final = clock
        self._began: Final = clock()
        self._text, self._total, self._done = "", None, 0.0
        console = screen(errors=True)
        self._spinner: Final = Spinner("dots" if has_marks(console) else "line")
        # Standard output may be a file: what is printed there must not pass through this line.
        self._live: Final = Live(
            self, console=console, transient=True, redirect_stdout=False, redirect_stderr=False, refresh_per_second=8
        )

    def __rich__(self) -> "Text":
        """Return the line; a long step is cut, the time never is."""
        from rich.text import Text

        taken_s = self._clock() - self._began
        share = f"{min(self._done / self._total, 1):4.0%} " if self._total else ""
        spinner = cast("Text", self._spinner.render(taken_s))
        line = Text.assemble(spinner, (f" {taken_s:3.0f} s {share} ", "dim"), self._text)
        line.no_wrap, line.overflow = True, "ellipsis"
        return line

    def step(self, text: str, total: float | None = None) -> None:
        """Show another step."""
        from server.terminal import visible

        self._text, self._total, self._done = visible(text), total, 0.0

    def advance(self, amount: float = 1) -> None:
        """Show how much is done."""
        self._done += amount

    @contextmanager
    def paused(self) -> Generator[None]:
        """Remove the line while something else is printed."""
        self._live.stop()
        try:
            yield
        finally:
            self._live.start()

    @contextmanager
    def shown(self) -> Generator[None]:
        """Show the line until the end."""
        with self._live:
            yield


@contextmanager
def progress(first: str, total: float | None = None, *, streams: bool = False) -> Generator[Progress]:
    """Show the progress of a command that begins with the step `first`, `total` as the amount of its work.

    A command that `streams` prints while it works: where a terminal gets that, it gets no progress.
    """
    if streams and sys.stdout.isatty():
        yield SILENT
    elif _moves():
        moving = Moving()
        moving.step(first, total)
        with moving.shown():
            yield moving
    else:
        plain = PlainLines(_write)
        plain.step(first)
        yield plain
        plain.finish()


def _moves() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "") not in {"", "dumb", "unknown"}


def _write(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()
