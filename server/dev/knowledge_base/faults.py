"""Faults on demand, so that tests see how callers react when a dependency misbehaves."""

from dataclasses import dataclass


@dataclass(slots=True)
class Faults:
    """What goes wrong with the next responses, for tests: each count says how many, and falls by one each time."""

    throttle: int = 0
    fail: int = 0
    delay: int = 0
    delay_seconds: float = 1.0
    # Return passages without applying the filter: callers must check what they receive.
    ignore_filter: int = 0

    def take(self, name: str) -> bool:
        """Use up one fault of that name; return whether there was one."""
        left: int = getattr(self, name)
        setattr(self, name, max(left - 1, 0))
        return left > 0
