"""What each tenant used on each day (UTC), added up from the audit records: the bill and the evidence are the same."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

HEADINGS: Final[tuple[str, ...]] = ("day", "tenant", "calls", "failed", "rows", "bytes", "searches", "database_ms")


@dataclass(slots=True)
class Used:
    """One tenant's day: the tool calls that succeeded and that failed, and what they used."""

    day: str
    tenant: str
    calls: int = 0
    failed: int = 0
    rows: int = 0
    bytes: int = 0
    searches: int = 0
    database_ms: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the fields."""
        return {**asdict(self), "database_ms": round(self.database_ms, 2)}


def usage(records: Iterable[dict[str, Any]]) -> list[Used]:
    """Return the days and tenants in order; a request that is not a call of a tenant's tool is not counted."""
    found: dict[tuple[str, str], Used] = {}
    for record in records:
        tenant = record.get("tenant")
        if tenant is None or "tool" not in record:
            continue
        day = datetime.fromtimestamp(record["time"], UTC).date().isoformat()
        used = found.setdefault((day, tenant), Used(day, tenant))
        if record.get("outcome") == "answered":
            used.calls += 1
        else:
            # Refusals over a budget are counted in one record.
            used.failed += record.get("count", 1)
        used.rows += record.get("rows", 0)
        used.bytes += record.get("bytes", 0)
        used.searches += record.get("searches", 0)
        used.database_ms += record.get("database_ms", 0.0)
    return [found[key] for key in sorted(found)]
