"""The output of `tenantgate audit show`: one line per record."""

from datetime import UTC, datetime
from typing import Any, Final

HEADINGS: Final = ("time", "request", "address", "person", "tenant", "did", "came to", "status", "rows", "ms")


def row(record: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of one record."""
    did = record.get("tool") or record.get("mcp_method") or record.get("did") or record.get("method") or ""
    came_to = record.get("refused") or record.get("outcome") or ""
    if "count" in record:
        came_to = f"{came_to} ({record['count']} times)"
    return (
        datetime.fromtimestamp(record["time"], UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        str(record.get("request", "")),
        str(record.get("address", record.get("network", ""))),
        str(record.get("subject", "")),
        str(record.get("tenant", "")),
        str(did),
        str(came_to),
        str(record.get("status", "")),
        str(record.get("rows", "")),
        str(record.get("ms", "")),
    )
