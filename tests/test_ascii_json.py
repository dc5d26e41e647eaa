"""Lines of the log and of the audit trail are the same bytes, whether they had to be escaped or not."""

import json
import random
from typing import Any

import pytest
from pydantic_core import to_json

from server.ascii_json import ascii_json

CHARACTERS = [*map(chr, range(0x300)), "…", "\u2028", "\u202e", "\ufeff", "\U0001f600"]
OTHERS: list[Any] = [None, True, 0, -1, 2**70, 0.1, 1e300, float("inf"), b"bytes", object, {"a": ["b"]}]


def test_the_short_way_writes_the_bytes_of_the_long_one() -> None:
    chance = random.Random(14)
    for _ in range(2_000):
        known = CHARACTERS[:128] if chance.random() < 0.7 else CHARACTERS
        texts = ["".join(chance.choices(known, k=chance.randrange(8))) for _ in range(4)]
        value = {texts[0]: texts[1], "b": [texts[2], chance.choice(OTHERS)], "c": texts[3]}
        written = ascii_json(value, repr)
        assert written == to_json(value, ensure_ascii=True, fallback=repr)
        assert written.isascii()


def test_each_character_is_read_back() -> None:
    for one in CHARACTERS:
        assert json.loads(ascii_json({one: one}, repr)) == {one: one}


def test_half_of_a_surrogate_pair_is_an_error() -> None:
    with pytest.raises(ValueError, match="surrogate"):
        ascii_json({"a": "\ud800"}, repr)
