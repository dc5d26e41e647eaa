"""Read a trail's records, of all workers and files, ordered by time."""

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from server.audit.chain import lines, opened
from server.audit.files import size_of
from server.audit.verify import chains
from server.errors import SettingsError, StartupError
from server.progress import SILENT, Progress


@dataclass(frozen=True, slots=True)
class Filter:
    """Which records are wanted; None means any. Times are seconds since the epoch; `until` is excluded."""

    tenant: str | None = None
    person: str | None = None
    tool: str | None = None
    since: float | None = None
    until: float | None = None

    def admits(self, record: dict[str, Any]) -> bool:
        """Whether a record is wanted."""
        wanted = (("tenant", self.tenant), ("subject", self.person), ("tool", self.tool))
        if any(value is not None and record.get(name) != value for name, value in wanted):
            return False
        return (self.since is None or record["time"] >= self.since) and (
            self.until is None or record["time"] < self.until
        )


def read_records(path: Path, wanted: Filter, shown: Progress = SILENT) -> Iterator[dict[str, Any]]:
    """Yield the records of decisions that `wanted` admits, without the trail's records about itself.

    `shown` is the progress. Raises StartupError where a line does not verify, and where there is no trail.
    """
    shown.step(f"reading the audit trail: {path.name}", size_of(path))
    try:
        found = [_of_chain(files, shown) for _, _, files in chains(path)]
        if not found:
            raise StartupError(f"no audit trail exists at {path}; pass the file that audit.path names")
        for record in heapq.merge(*found, key=lambda record: record["time"]):
            if record.get("event") in {None, "refused", "administration"} and wanted.admits(record):
                yield record
    except OSError as error:
        raise StartupError(
            f"the audit trail {path} cannot be read: {error.strerror}; correct its path or its rights"
        ) from error


def moment(text: str | None, option: str, *, end: bool = False) -> float | None:
    """Return a day or a time (ISO 8601, UTC unless it says otherwise) as seconds since the epoch.

    With `end`, the whole day is included. Raises SettingsError that names `option`.
    """
    if text is None:
        return None
    try:
        if len(text) == len("2026-11-26"):
            day = date.fromisoformat(text) + timedelta(days=1 if end else 0)
            return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{option}: {text!a} is not a day or time; write 2026-11-26 or 2026-11-26T14:30") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _of_chain(files: Sequence[Path], shown: Progress) -> Iterator[dict[str, Any]]:
    for file in files:
        for place, line in enumerate(lines(file, shown), 1):
            record = opened(line)
            if record is None:
                raise StartupError(f"{file}: line {place} was changed or is incomplete; run `tenantgate audit verify`")
            yield record


def last_of(records: Iterable[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return the last `count` records; all with 0."""
    from collections import deque

    return list(deque(records, maxlen=count or None))
