"""A command as a person meets it: on a pseudo-terminal of a chosen width, or through a pipe."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLEAN = {
    name: value
    for name, value in os.environ.items()
    if not name.startswith("TENANTGATE_") and name not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"}
} | {"PYTHONPATH": str(ROOT), "PYTHONUTF8": "1"}
# Colours, bold and dim; anything else moves the cursor or removes something. NO_COLOR is about colours alone.
_STYLE = re.compile(r"\x1b\[[\d;]*m")
_COLOUR = re.compile(r"\x1b\[(?:\d+;)*[349]\d")
_STEP = re.compile(r"\x1b\[(\d*)([A-Z])|\x1b\[\?\d+[hl]|([\r\n])|([^\x1b\r\n]+)")


class Shown:
    """What a command wrote: on a terminal, `errors` is empty, for both streams are one."""

    def __init__(self, code: int, raw: str, errors: str = "") -> None:
        self.code, self.raw, self.errors = code, raw, errors

    @property
    def has_colours(self) -> bool:
        return _COLOUR.search(self.raw) is not None

    @property
    def lines(self) -> list[str]:
        """The lines without colours, and without what was removed again."""
        return plain(self.raw).splitlines()


def plain(raw: str) -> str:
    """Return what stands on the screen at the end: a small terminal that knows what rich sends."""
    lines, row, column = [""], 0, 0
    for count, letter, control, text in _STEP.findall(_STYLE.sub("", raw)):
        if text:
            lines[row] = lines[row][:column].ljust(column) + text + lines[row][column + len(text) :]
            column += len(text)
        elif control == "\n":
            row, column = row + 1, 0
            lines += [""] * (row == len(lines))
        elif control == "\r":
            column = 0
        elif letter == "A":
            row -= int(count or 1)
        elif letter == "K":
            assert count == "2"
            lines[row] = ""
        else:
            assert not letter, letter
    return "\n".join(lines)


@contextmanager
def on_terminal(
    command: Sequence[str], columns: int, **variables: str
) -> Generator[tuple[subprocess.Popen[bytes], list[str]]]:
    """Run `command` on a terminal of `columns`; the list grows while it writes."""
    inside, outside = pty.openpty()
    fcntl.ioctl(outside, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = CLEAN | {"TERM": "xterm-256color"} | variables
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=outside, stdout=outside, stderr=outside)
    os.close(outside)
    written: list[str] = []

    def read() -> None:
        # The terminal is gone with the last process that had it.
        while data := _read(inside):
            written.append(data.decode("utf-8", "replace"))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield process, written
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(30)
        reader.join(30)
        os.close(inside)


def shown_on_terminal(command: Sequence[str], columns: int, **variables: str) -> Shown:
    with on_terminal(command, columns, **variables) as (process, written):
        code = process.wait(60)
    return Shown(code, "".join(written))


def shown_in_pipe(command: Sequence[str], **variables: str) -> Shown:
    done = subprocess.run(
        command, cwd=ROOT, env=CLEAN | variables, capture_output=True, text=True, timeout=60, check=False
    )
    return Shown(done.returncode, done.stdout, done.stderr)


def verb(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "server", *arguments]


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""
