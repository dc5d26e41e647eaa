"""Refusals of unauthenticated callers: counted, and written once per interval, so that a flood costs little.

A key is a constant reason and the network of the address. It holds nothing from an unverified token, because the
sender chooses that.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

INTERVAL_S: Final = 10.0
MOST_KEYS: Final = 256
_OTHER: Final = ("other", "other")


@dataclass(slots=True)
class _Counted:
    first: float
    last: float
    count: int = 0


class Refusals:
    """The counts of one interval; the caller writes the first refusal of each key, with its detail."""

    def __init__(self) -> None:
        """Begin an interval."""
        self._counted: Final = dict[tuple[str, str], _Counted]()
        self._until = time.monotonic() + INTERVAL_S

    def is_first(self, reason: str, source: str) -> bool:
        """Count one refusal, or return True for the first of its key: that one is written, not counted."""
        key = (reason, source)
        now = time.time()
        found = self._counted.get(key)
        if found is None and len(self._counted) >= MOST_KEYS:
            key = _OTHER
            found = self._counted.get(key)
        if found is None:
            self._counted[key] = _Counted(now, now)
            return True
        found.count += 1
        found.last = now
        return False

    def forget(self, reason: str, source: str) -> None:
        """Let the next refusal of this key be the first again, because this one could not be written."""
        self._counted.pop((reason, source), None)

    def flush(self, write: Callable[[Mapping[str, Any]], None], *, at_once: bool = False) -> None:
        """Write one record for each counted key, once the interval is over; counts that cannot be written are kept."""
        if not at_once and time.monotonic() < self._until:
            return
        for (reason, source), one in list(self._counted.items()):
            if one.count:
                times = {"first": round(one.first, 3), "last": round(one.last, 3)}
                write({"event": "refused", "refused": reason, "network": source, "count": one.count, **times})
            del self._counted[reason, source]
        self._until = time.monotonic() + INTERVAL_S
