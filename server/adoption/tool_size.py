"""How long the description of a table's tools is in tools/list, in bytes."""

from typing import Final

from server.catalog.declarations import Table
from server.catalog.listing import ListingTool
from server.catalog.source import TableSource
from server.catalog.summary import SummaryTool

# For all tools of one table: sixty tables fill sixty kilobytes, `whoami` and the frame of the list included.
MOST_BYTES: Final = 980


def tools_bytes(table: Table) -> int:
    """Return the length of the entries of both tools."""
    source = TableSource(table)
    tools = [ListingTool(source, table.list)] if table.list else []
    tools += [SummaryTool(source, table.summary)] if table.summary else []
    entries = [tool.describe().model_dump_json(by_alias=True, exclude_none=True) for tool in tools]
    return sum(len(entry.encode()) + 1 for entry in entries)
