"""The Merkle tree of RFC 6962 section 2.1 over hashed leaves: its root and its proofs."""

import hashlib
from collections.abc import Sequence


def unhex(text: str) -> bytes:
    """Return the bytes of lower-case hexadecimal `text`; raise ValueError for any other form."""
    found = bytes.fromhex(text)
    if found.hex() != text:
        raise ValueError("a hash is not in lower-case hexadecimal digits")
    return found


def leaf_hash(data: bytes) -> bytes:
    """Return the hash of one leaf; the prefix distinguishes a leaf from a node."""
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node over two others."""
    return hashlib.sha256(b"\1" + left + right).digest()


def levels(leaves: Sequence[bytes]) -> list[list[bytes]]:
    """Return the tree from its leaves up to its root; a node without a sibling moves up unchanged."""
    found = [list(leaves)]
    while len(found[-1]) > 1:
        below = found[-1]
        above = [node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)]
        found.append(above + below[len(below) - len(below) % 2 :])
    return found


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root; without leaves, the hash of no bytes."""
    return levels(leaves)[-1][0] if leaves else hashlib.sha256(b"").digest()


def proof(tree: Sequence[Sequence[bytes]], place: int) -> list[bytes]:
    """Return the siblings on the path from the leaf at `place` to the root of `levels(...)`."""
    found: list[bytes] = []
    for level in tree[:-1]:
        if (sibling := place ^ 1) < len(level):
            found.append(level[sibling])
        place //= 2
    return found


def proved_root(leaf: bytes, place: int, size: int, siblings: Sequence[bytes]) -> bytes | None:
    """Return the root that a proof gives for the leaf at `place` of `size`; None when the proof is malformed."""
    if not 0 <= place < size:
        return None
    left = list(siblings)
    while size > 1:
        if place ^ 1 < size:
            if not left:
                return None
            sibling = left.pop(0)
            leaf = node_hash(sibling, leaf) if place % 2 else node_hash(leaf, sibling)
        place, size = place // 2, (size + 1) // 2
    return None if left else leaf
