"""The Merkle tree and the table of tenants: the published roots, and proofs that hold for one leaf alone."""

import hashlib
import random

import pytest

from server.audit import merkle
from server.audit.table import EMPTY, TableProof, TenantTable, root_of

# The test vectors of Certificate Transparency's reference implementation, which RFC 6962 describes.
INPUTS = ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
ROOTS = {
    0: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    8: "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
}
RANDOM = random.Random(5)


def leaves(count: int) -> list[bytes]:
    return [merkle.leaf_hash(bytes.fromhex(INPUTS[at % 8]) + bytes([at // 8] * (at // 8 > 0))) for at in range(count)]


@pytest.mark.parametrize("size", ROOTS)
def test_the_root_is_that_of_the_published_vectors(size) -> None:
    assert merkle.root(leaves(size)).hex() == ROOTS[size]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8, 13, 64, 100])
def test_each_leaf_is_proved_at_its_own_place_and_at_no_other(size) -> None:
    tree = merkle.levels(leaves(size))
    root = tree[-1][0]
    for place, leaf in enumerate(tree[0]):
        proof = merkle.proof(tree, place)
        assert merkle.proved_root(leaf, place, size, proof) == root
        assert merkle.proved_root(merkle.leaf_hash(b"x"), place, size, proof) != root
        for other in (place - 1, place + 1, place ^ 2, size):
            assert merkle.proved_root(leaf, other, size, proof) != root or tree[0][other] == leaf
        assert merkle.proved_root(leaf, place, size, [*proof, EMPTY]) is None
        if proof:
            assert merkle.proved_root(leaf, place, size, proof[:-1]) is None


def key(name: object) -> bytes:
    return hashlib.sha256(str(name).encode()).digest()


@pytest.mark.parametrize("size", [0, 1, 2, 3, 50])
def test_the_table_proves_what_it_holds_and_what_it_does_not(size) -> None:
    table = TenantTable()
    for name in range(size):
        table.put(key(name), key(0))
        table.put(key(name), key(-name))
    for name in range(size):
        proof = table.prove(key(name))
        assert (proof.key, proof.value) == (key(name), key(-name))
        assert root_of(key(name), proof) == table.root()
        assert root_of(key(name), TableProof(proof.siblings, proof.key, key("another value"))) != table.root()
    for name in range(1_000, 1_050):
        absent = table.prove(key(name))
        assert absent.key != key(name)
        assert root_of(key(name), absent) == table.root()
        for held in range(min(size, 3)):
            assert root_of(key(held), absent) != table.root() or absent.key == key(held)


def test_the_order_of_entries_does_not_change_the_table() -> None:
    names = list(range(40))
    one, other = TenantTable(), TenantTable()
    for name in names:
        one.put(key(name), key(name))
    RANDOM.shuffle(names)
    for name in names:
        other.put(key(name), key(name))
    assert one.root() == other.root()
