"""The names of the documents in one answer: the file name, with as much of the path as makes it unique."""

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from server.documents.store import FoundPassage

Path: TypeAlias = tuple[str, ...]

_UNNAMED: Final = "unnamed document"


def document_names(passages: Sequence[FoundPassage]) -> list[str]:
    """Return the name of each passage's document: the shortest end of its path that no other of the documents has.

    A file name that only one document has stays without a path. Passages of one document share its name. Where
    documents share the whole path, such as pages that differ only in their query, a digest of the address follows.
    """
    addresses: dict[Path, set[str]] = {}
    for one in passages:
        addresses.setdefault(one.path, set()).add(one.address)
    names = {path: _name(path, addresses.keys() - {path}) for path in addresses}
    return [names[one.path] + (_digest(one.address) if len(addresses[one.path]) > 1 else "") for one in passages]


def _name(path: Path, others: Iterable[Path]) -> str:
    length = next((length for length in range(1, len(path)) if not _has_end(others, path[-length:])), len(path))
    return "/".join(path[-length:]) if path else _UNNAMED


def _has_end(paths: Iterable[Path], end: Path) -> bool:
    return any(path[-len(end) :] == end for path in paths)


def _digest(address: str) -> str:
    # A digest, because the query of an address may hold a credential.
    return f" ({hashlib.sha256(address.encode(errors='replace')).hexdigest()[:8]})"
