"""How long the description of a table's tools is in tools/list, in bytes."""

from typing import Final

from server.catalog.declarations import Table
from server.catalog.listing import ListingTool
from server.catalog.source import TableSource
from server.catalog.summary import SummaryTool

# A list of this many tables at most gives this many bytes to the tools of each: sixty tables fill sixty kilobytes,
# `whoami` and the frame of the list included. In steps, so that one table more seldom changes the others.
_SHARES: Final = ((12, 4_000), (30, 1_900))
_SMALLEST_SHARE: Final = 980


def share_of_list(tables: int) -> int:
    """Return how many bytes the tools of one table may take, where so many tables have tools."""
    return next((share for most, share in _SHARES if tables <= most), _SMALLEST_SHARE)


def tools_bytes(table: Table) -> int:
    """Return the length of the entries of both tools."""
    source = TableSource(table)
    tools = [ListingTool(source, table.list)] if table.list else []
    tools += [SummaryTool(source, table.summary)] if table.summary else []
    entries = [tool.describe().model_dump_json(by_alias=True, exclude_none=True) for tool in tools]
    return sum(len(entry.encode()) + 1 for entry in entries)
