"""Refusals of persons over a budget: the first few of an interval are recorded, the others are counted.

A caller who sends thousands of requests per second with a valid token fills limited space, and no refusal is lost:
each count is written once per interval with its person, tenant, tool and reason, and `tenantgate usage` adds it up.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from server.audit.refusals import INTERVAL_S

WRITTEN_EACH: Final = 5
# Refusals of further persons are recorded one by one; one process does not serve this many persons per interval.
MOST_PERSONS: Final = 4_096
# The fields that separate the counts of one person; each has few values, because only existing tools are named.
_KEY: Final = ("client", "tenant", "tool", "outcome")
_SUMS: Final = ("bytes", "database_ms")


@dataclass(slots=True)
class _Counted:
    last: Mapping[str, Any]
    first_at: float
    last_at: float
    count: int = 0
    sums: dict[str, float] = field(default_factory=dict[str, float])


@dataclass(slots=True)
class _Person:
    written: int = 0
    counted: dict[tuple[Any, ...], _Counted] = field(default_factory=dict[tuple[Any, ...], _Counted])


class OverBudget:
    """The refusals of one interval, by person."""

    def __init__(self) -> None:
        """Begin an interval."""
        self._persons: Final = dict[tuple[str, str], _Person]()
        self._until = time.monotonic() + INTERVAL_S

    def is_written(self, issuer: str, subject: str) -> bool:
        """Whether the caller must write this person's next refusal; the others go to `count`."""
        person = self._persons.get((issuer, subject))
        if person is None:
            if len(self._persons) >= MOST_PERSONS:
                return True
            person = self._persons[issuer, subject] = _Person()
        person.written += 1
        return person.written <= WRITTEN_EACH

    def count(self, record: Mapping[str, Any]) -> None:
        """Count a refusal; `record` is what its record would be. The last one's reason and address are kept."""
        now = time.time()
        counted = self._persons[record["issuer"], record["subject"]].counted
        found = counted.setdefault(tuple(map(record.get, _KEY)), _Counted(record, now, now))
        found.last, found.last_at = record, now
        found.count += 1
        for name in _SUMS:
            found.sums[name] = found.sums.get(name, 0) + record.get(name, 0)

    def flush(self, write: Callable[[Mapping[str, Any]], None], *, at_once: bool = False) -> None:
        """Write one record for each count, once the interval is over; counts that could not be written are kept."""
        if not at_once and time.monotonic() < self._until:
            return
        for who, person in list(self._persons.items()):
            for key, one in list(person.counted.items()):
                write(_summary(one))
                del person.counted[key]
            del self._persons[who]
        self._until = time.monotonic() + INTERVAL_S


def _summary(one: _Counted) -> dict[str, Any]:
    kept = ("address", "issuer", "subject", *_KEY, "tier", "refused", "status")
    fields = {name: one.last[name] for name in kept if one.last.get(name) is not None}
    sums = {name: round(total, 2) for name, total in one.sums.items() if total}
    times = {"first": round(one.first_at, 3), "last": round(one.last_at, 3)}
    return {"event": "refused", **fields, **sums, "count": one.count, **times}
