"""Ports for servers that a test starts in a process of its own."""

import random
import socket

# Below those that the system hands out by itself (RFC 6335, section 6: from 49152; Linux: from 32768), so that no other
# test gets one in the meantime.
_FIRST, _LAST = 20_000, 31_000


def free_port(in_a_row: int = 1) -> int:
    """Return the first of so many loopback ports in a row that nobody uses at the moment."""
    while True:
        first = random.SystemRandom().randint(_FIRST, _LAST)
        if all(map(_is_free, range(first, first + in_a_row))):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
