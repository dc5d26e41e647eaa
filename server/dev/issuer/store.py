"""A small in-memory store for the development issuer: limited in size, and every entry expires."""

import time
from typing import Generic, TypeVar

Value = TypeVar("Value")


class ExpiringStore(Generic[Value]):
    """A dictionary that forgets entries after `lifetime_s` seconds, and the oldest ones beyond `capacity`."""

    def __init__(self, *, lifetime_s: float, capacity: int = 1000) -> None:
        self._lifetime_s = lifetime_s
        self._capacity = capacity
        # All entries have the same lifetime, so the order of insertion is the order of expiry.
        self._entries: dict[str, tuple[float, Value]] = {}

    def put(self, key: str, value: Value) -> None:
        """Store `value` for one lifetime from now; it replaces the previous value of `key`."""
        now = time.monotonic()
        self._entries.pop(key, None)
        self._entries[key] = (now + self._lifetime_s, value)
        while len(self._entries) > self._capacity or next(iter(self._entries.values()))[0] <= now:
            del self._entries[next(iter(self._entries))]

    def get(self, key: str) -> Value | None:
        """Return the value of `key`, or None when it is unknown or expired."""
        expires_at, value = self._entries.get(key, (0, None))
        return value if expires_at > time.monotonic() else None

    def take(self, key: str) -> Value | None:
        """Return the value of `key` and forget it, so that nobody gets it twice."""
        value = self.get(key)
        self._entries.pop(key, None)
        return value
