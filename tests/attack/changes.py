"""Changes to the bytes of a request, and what a request's length is."""

import random
import re
from collections.abc import Sequence
from typing import Final

BETWEEN: Final = b"\r\n\r\n"
LENGTH: Final = re.compile(rb"(?im)^content-length: *(\d+)(?=\r?$)")
_TOKEN: Final = re.compile(rb"(?m)^Authorization: Bearer (\S+)")
_PLACE: Final = b"\1"
_INTERESTING: Final = (
    *(b"\0", b"\r\n", b"\n", b"\r", b"\x80", b"\xff", b"\xc3", b" ", b"\t", b":", b",", b"{", b"}", b"[", b"]", b'"'),
    *(b"\\", b"\\u0000", b"\\ud800", b"0", b"-", b"1e999", b"null", b"true", b"9" * 20, b"%00", b"..", b"//"),
    *(b"Transfer-Encoding: chunked\r\n", b"Content-Length: 0\r\n", b"Connection: close\r\n", b"Upgrade: h2c\r\n"),
)


def mutated(base: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """Return a request with one to three changes in its head or its body; a changed body mostly gets its length."""
    head, _, body = base.partition(BETWEEN)
    in_body = bool(body) and chance.random() < 0.5
    # The token is most of a head: nearly every change would only be one of a token.
    token = _TOKEN.search(head)
    kept = token is not None and chance.random() < 0.9
    if token and kept:
        head = head.replace(token[1], _PLACE)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        if in_body:
            body = _changed(body, chance.choice(others).partition(BETWEEN)[2] or body, chance)
        else:
            head = _changed(head, chance.choice(others).partition(BETWEEN)[0], chance)
    if token and kept:
        head = head.replace(_PLACE, token[1], 1)
    if in_body and chance.random() < 0.95:
        head = LENGTH.sub(b"Content-Length: %d" % len(body), head)
    return head + BETWEEN + body


def _changed(data: bytes, other: bytes, chance: random.Random) -> bytes:
    at = int(chance.random() * len(data))
    length = chance.choice((1, 1, 2, 4, 16))
    match chance.randrange(7):
        case 0:  # one bit
            return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :] if data else data
        case 1:  # any byte
            return data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        case 2:
            return data[:at] + data[at + length :]
        case 3:
            return data[:at] + chance.choice(_INTERESTING) + data[at:]
        case 4:
            return data[:at] + data[at : at + length * 8] + data[at:]
        case 5 if chance.random() < 0.5:  # the rest of another request
            return data[:at] + other[int(chance.random() * len(other)) :]
        case 5:
            return data[:at]
        case _:  # a piece of another request
            start = int(chance.random() * len(other))
            return data[:at] + other[start : start + length * 4] + data[at:]
