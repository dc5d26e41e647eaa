"""How many client connections each worker has, in shared memory."""

import mmap
import os
import tempfile
from typing import Final, Self

_BYTES: Final = 4
# Instead of a number: no worker serves in this place now.
_AWAY: Final = -1


class Loads:
    """A number for each worker; reading one during a write gives the old or the new value."""

    def __init__(self, descriptor: int, workers: int) -> None:
        """Map the memory behind `descriptor`, which stays open so that other processes can inherit it."""
        self.descriptor: Final = descriptor
        self._numbers: Final = memoryview(mmap.mmap(descriptor, workers * _BYTES)).cast("i")

    @classmethod
    def begun(cls, workers: int) -> Self:
        """Return new memory in which no worker serves."""
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("loads")
        else:
            descriptor, name = tempfile.mkstemp()
            os.unlink(name)  # noqa: PTH108
        os.truncate(descriptor, workers * _BYTES)
        loads = cls(descriptor, workers)
        for worker in range(workers):
            loads.leave(worker)
        return loads

    def put(self, worker: int, connections: int) -> None:
        """Set the number of a worker's connections."""
        self._numbers[worker] = connections

    def leave(self, worker: int) -> None:
        """Mark that a worker takes no connections."""
        self._numbers[worker] = _AWAY

    def before(self, worker: int) -> int:
        """Return how many serving workers have fewer connections than this one."""
        own = self._numbers[worker]
        return sum(_AWAY < number < own for number in self._numbers)
