"""The files that `adopt` writes: each begins with the digest of its text, which shows later whether it was edited."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from server.errors import SettingsError

_SIGNS: Final = {".toml": "#", ".sql": "--"}
_FIRST_LINE: Final = re.compile(r"(?:#|--) Written by `tenantgate adopt`, sha256 ([0-9a-f]{64})\.")
_HEADER_LINES: Final = 3
State = Literal["as written", "edited", "of somebody else"]


@dataclass(frozen=True, slots=True)
class File:
    """An existing file, and whether it is unchanged since `adopt` wrote it."""

    path: Path
    text: str
    state: State


def sealed(suffix: str, text: str) -> str:
    """Return a file's content: the header, then `text`."""
    sign = _SIGNS[suffix]
    return (
        f"{sign} Written by `tenantgate adopt`, sha256 {_digest(text)}.\n"
        f"{sign} Edit it as you like: a file whose text was changed is never touched again.\n"
        f"\n{text}"
    )


def files_in(folder: Path, suffix: str) -> list[File]:
    """Return the files of a folder that have this suffix, sorted by name; none when the folder does not exist."""
    if not folder.is_dir():
        return []
    return [read_file(path) for path in sorted(folder.iterdir()) if path.suffix == suffix and path.is_file()]


def read_file(path: Path) -> File:
    """Return a file; raises SettingsError when it cannot be read."""
    try:
        content = path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read ({error}); correct the file or its rights") from error
    lines = content.split("\n", _HEADER_LINES)
    found = _FIRST_LINE.fullmatch(lines[0])
    if found is None or len(lines) <= _HEADER_LINES:
        return File(path, content, "of somebody else")
    return File(path, content, "as written" if found[1] == _digest(lines[_HEADER_LINES]) else "edited")


def write_file(path: Path, content: str) -> None:
    """Write a file atomically; raises SettingsError when it cannot be written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content.encode())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise SettingsError(f"{path} cannot be written ({error.strerror}); choose another --output") from error


def remove_file(path: Path) -> None:
    """Remove a file; raises SettingsError when it cannot be removed."""
    try:
        path.unlink()
    except OSError as error:
        raise SettingsError(f"{path} cannot be removed ({error.strerror}); remove it by hand") from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
