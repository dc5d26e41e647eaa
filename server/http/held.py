"""Connections in the order of their last use."""

from collections.abc import Hashable
from itertools import islice
from typing import Final, Protocol

# How many of the longest unused ones are looked at for an idle one.
_LOOKED_AT: Final = 64


class Held(Protocol):
    """A connection, as far as this file needs it."""

    @property
    def is_idle(self) -> bool:
        """Whether no request of it is being answered."""
        ...

    def drop(self) -> None:
        """Close it at once."""
        ...


class ByLastUse:
    """Connections by their last use, the oldest first; all together, and those of each owner."""

    def __init__(self) -> None:
        self._owners: Final[dict[Held, Hashable]] = {}
        self._of: Final[dict[Hashable, dict[Held, None]]] = {}

    def __len__(self) -> int:
        return len(self._owners)

    def __contains__(self, connection: Held) -> bool:
        return connection in self._owners

    def put(self, connection: Held, owner: Hashable) -> None:
        """Add a connection, as the one that was used last."""
        self._owners[connection] = owner
        self._of.setdefault(owner, {})[connection] = None

    def put_last_of(self, connection: Held, owner: Hashable) -> bool:
        """Note that a connection was used, if it is here and this owner's; return whether it is."""
        if self._owners.get(connection) != owner:
            return False
        of_owner = self._of[owner]
        del self._owners[connection], of_owner[connection]
        self._owners[connection], of_owner[connection] = owner, None
        return True

    def take(self, connection: Held) -> Hashable | None:
        """Remove a connection and return its owner; None where it was not here."""
        owner = self._owners.pop(connection, None)
        if owner is not None:
            of_owner = self._of[owner]
            del of_owner[connection]
            if not of_owner:
                del self._of[owner]
        return owner

    def owner(self, connection: Held) -> Hashable | None:
        """Return the owner of a connection, None where it is not here."""
        return self._owners.get(connection)

    def put_last(self, connection: Held) -> None:
        """Note that a connection was used, if it is here."""
        owner = self.take(connection)
        if owner is not None:
            self.put(connection, owner)

    def count(self, owner: Hashable) -> int:
        """Return how many an owner has."""
        return len(self._of.get(owner, ()))

    def oldest_idle(self, owner: Hashable | None = None) -> Held | None:
        """Return an idle one, among the oldest few."""
        line = self._owners if owner is None else self._of.get(owner, {})
        return next((one for one in islice(line, _LOOKED_AT) if one.is_idle), None)

    def oldest(self, owner: Hashable | None = None) -> Held | None:
        """Return an idle one if possible, and else the oldest."""
        line = self._owners if owner is None else self._of.get(owner, {})
        return self.oldest_idle(owner) or next(iter(line), None)

    def largest(self) -> tuple[Hashable | None, int]:
        """Return the owner with the most connections, and how many they are."""
        owner = max(self._of, key=self.count, default=None)
        return owner, self.count(owner)
