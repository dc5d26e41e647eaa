"""The names of the documents of one answer: the file name, and as much of the path as tells them apart."""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

Path: TypeAlias = tuple[str, ...]

_UNNAMED: Final = "unnamed document"


def document_names(paths: Sequence[Path]) -> list[str]:
    """Return the name of each document: the shortest end of its path that no other document of the answer has.

    A file name that only one document of the answer has stays bare. Passages of one document have one name.
    """
    names = {path: _name(path, set(paths) - {path}) for path in set(paths)}
    return [names[path] for path in paths]


def _name(path: Path, others: Iterable[Path]) -> str:
    length = next((length for length in range(1, len(path)) if not _has_end(others, path[-length:])), len(path))
    return "/".join(path[-length:]) if path else _UNNAMED


def _has_end(paths: Iterable[Path], end: Path) -> bool:
    return any(path[-len(end) :] == end for path in paths)
