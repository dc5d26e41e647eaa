"""How many bytes the tools of a table take in tools/list."""

from typing import Final

from server.catalog.declarations import Table
from server.catalog.listing import ListingTool
from server.catalog.source import TableSource
from server.catalog.summary import SummaryTool

# With at most this many tables, the tools of each get this many bytes. Sixty tables fill sixty kilobytes, including
# `whoami` and the frame of the list. There are few steps, so that a new table seldom changes the others.
_SHARES: Final = ((12, 4_000), (30, 1_900))
_SMALLEST_SHARE: Final = 980


def share_of_list(tables: int) -> int:
    """Return how many bytes the tools of one table may take when this many tables have tools."""
    return next((share for most, share in _SHARES if tables <= most), _SMALLEST_SHARE)


def tools_bytes(table: Table) -> int:
    """Return the length of the entries of both tools, in bytes."""
    source = TableSource(table)
    tools = [ListingTool(source, table.list)] if table.list else []
    tools += [SummaryTool(source, table.summary)] if table.summary else []
    entries = [tool.describe().model_dump_json(by_alias=True, exclude_none=True) for tool in tools]
    return sum(len(entry.encode()) + 1 for entry in entries)
