"""A table from keys to values with one hash, and proofs of its value at a key, or that it has none there.

It is a binary trie over the bits of the keys, which are hashes; a subtree with a single entry is just that entry. A
proof names the siblings from the top down and the entry at the end, if there is one.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from server.audit.merkle import unhex

EMPTY: Final = bytes(32)


@dataclass(slots=True)
class _Entry:
    key: bytes
    value: bytes

    def hash(self) -> bytes:
        return _entry_hash(self.key, self.value)


@dataclass(slots=True)
class _Fork:
    sides: list["_Entry | _Fork | None"] = field(default_factory=lambda: [None, None])
    # None when something below changed since the hash was computed.
    known: bytes | None = None

    def hash(self) -> bytes:
        if self.known is None:
            self.known = _fork_hash(*(EMPTY if side is None else side.hash() for side in self.sides))
        return self.known


@dataclass(frozen=True, slots=True)
class TableProof:
    """The siblings from the top down, and the key and value of the entry at the end; None for an empty end.

    The entry may have another key: then the table has nothing at the requested key.
    """

    siblings: tuple[bytes, ...]
    key: bytes | None
    value: bytes | None


class TenantTable:
    """Keys and values of 32 bytes each."""

    def __init__(self) -> None:
        """Begin empty."""
        self._top: _Entry | _Fork | None = None

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value at `key`; the hash is computed when it is needed."""
        self._top = _put(self._top, key, value, 0)

    def root(self) -> bytes:
        """Return the hash of the whole table."""
        return EMPTY if self._top is None else self._top.hash()

    def prove(self, key: bytes) -> TableProof:
        """Return the proof of what is at `key`."""
        siblings: list[bytes] = []
        here = self._top
        while isinstance(here, _Fork):
            side = _bit(key, len(siblings))
            other = here.sides[1 - side]
            siblings.append(EMPTY if other is None else other.hash())
            here = here.sides[side]
        return TableProof(tuple(siblings), here.key if here else None, here.value if here else None)


def root_of(key: bytes, proof: TableProof) -> bytes | None:
    """Return the root that `proof` gives for `key`; None when its entry is not on the path to `key`."""
    depth = len(proof.siblings)
    if depth > len(key) * 8:
        return None
    found = EMPTY
    if proof.key is not None and proof.value is not None:
        if any(_bit(key, at) != _bit(proof.key, at) for at in range(depth)):
            return None
        found = _entry_hash(proof.key, proof.value)
    for at in range(depth - 1, -1, -1):
        sides = (proof.siblings[at], found) if _bit(key, at) else (found, proof.siblings[at])
        found = _fork_hash(*sides)
    return found


def _put(here: _Entry | _Fork | None, key: bytes, value: bytes, depth: int) -> _Entry | _Fork:
    if here is None or (isinstance(here, _Entry) and here.key == key):
        return _Entry(key, value)
    if isinstance(here, _Entry):
        fork = _Fork()
        fork.sides[_bit(here.key, depth)] = here
        here = fork
    side = _bit(key, depth)
    here.sides[side] = _put(here.sides[side], key, value, depth + 1)
    here.known = None
    return here


def _bit(key: bytes, at: int) -> int:
    return key[at // 8] >> (7 - at % 8) & 1


def _entry_hash(key: bytes, value: bytes) -> bytes:
    return hashlib.sha256(b"\2" + key + value).digest()


def _fork_hash(*sides: bytes) -> bytes:
    return hashlib.sha256(b"\3" + b"".join(sides)).digest()


def from_text(siblings: Sequence[str], key: str | None, value: str | None) -> TableProof:
    """Return a proof from its hexadecimal form; raises ValueError."""
    return TableProof(
        tuple(unhex(one) for one in siblings),
        None if key is None else unhex(key),
        None if value is None else unhex(value),
    )
