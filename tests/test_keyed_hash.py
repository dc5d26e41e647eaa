"""The HMAC of ours is the standard library's."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.keyed_hash import KeyedHash


@given(key=st.binary(max_size=64), messages=st.lists(st.binary(max_size=300), min_size=1, max_size=4))
def test_each_digest_is_that_of_hmac(key: bytes, messages: list[bytes]) -> None:
    keyed = KeyedHash(key)
    assert [keyed.hexdigest(one) for one in messages] == [hmac.digest(key, one, "sha256").hex() for one in messages]


def test_a_key_longer_than_a_block_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than a block"):
        KeyedHash(b"a" * 65)
