"""The tool that lists rows of a declared table: filtered, sorted, page by page."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from mcp_types import Tool as ToolDescription
from pydantic_core import to_json
from pydantic_core.core_schema import bool_schema

from server.catalog import schema
from server.catalog.access import TenantAccess
from server.catalog.blocks import Start
from server.catalog.brief import brief_schema, brief_text, column_texts
from server.catalog.declarations import Listing, Table
from server.catalog.filters import Filters
from server.catalog.results import nullable, object_of, row_schema
from server.catalog.rows import Page
from server.catalog.schema import Argument, ArgumentSchema
from server.catalog.source import TableSource
from server.catalog.texts import titled
from server.catalog.tool import Tool, description_of

_CURSOR_CHARACTERS: Final = 3_000
# A cursor works with any page size, and is bound to the days of a period instead of its name.
_NOT_BOUND: Final = frozenset({"cursor", "limit", "period"})
_SORT_ORDER: Final = {kind: place for place, kind in enumerate(("timestamp", "date", "decimal", "integer"))}


class ListingTool(Tool):
    """Lists the rows that row level security lets the caller's tenant see."""

    def __init__(self, source: TableSource, declared: Listing) -> None:
        """Read the declaration once; statements are made when they are needed."""
        table = source.table
        self.name = declared.tool
        self.scope = table.scope
        self._declared: Final = declared
        self._source: Final = source
        self._filters: Final = Filters(table)
        self._zone: Final = ZoneInfo(table.timezone)
        self._rows_name: Final = to_json(table.rows_name)
        self._sort: Final = (declared.sort or "").removeprefix("-") or None
        self._arguments: Final = ArgumentSchema("Filters, order and page.", self._all_arguments(table))
        # After a change of the declaration, older cursors may not fit.
        self._digest: Final = hashlib.sha256(table.model_dump_json().encode()).hexdigest()[:16]

    def describe(self) -> ToolDescription:
        """Return the entry of tools/list."""
        table = self._source.table
        if table.brief:
            text = self._declared.description or brief_text(f"Lists {table.rows_name}.", table.description)
            arguments = brief_schema(self._arguments.json_schema, column_texts(table))
            return description_of(self.name, self._declared.title, text, arguments=arguments, result=None)
        return description_of(
            self.name,
            self._declared.title or titled(self.name),
            self._declared.description or table.description or f"Lists {table.rows_name}.",
            arguments=self._arguments.json_schema,
            result=_result_schema(table, self._filters.day_names),
        )

    async def answer(self, arguments: dict[str, Any], access: TenantAccess) -> bytes:
        """Return one page as JSON text.

        Raises ArgumentsError for contradicting filters or another request's cursor, UnavailableError without the
        database.
        """
        asked = self._arguments.parse(arguments)
        today = access.now.astimezone(self._zone).date()
        filtered = self._filters.read(asked, today)
        request = self._request(asked, filtered.days)
        position = access.open_cursor(asked["cursor"], request) if asked["cursor"] else None
        compiled = self._source.compiled()
        sort: str | None = asked.get("sort")
        order = compiled.order(sort)
        start, values = _start(position, nullable=order.nullable)
        statement = compiled.listing(filtered.filters, sort, asked["descending"], start)
        limit: int = asked["limit"]
        # One row more than the limit shows whether there is a next page.
        page = await access.fetch(statement, *filtered.values, *values, limit + 1, shown=limit)
        assert isinstance(page, Page)  # noqa: S101  # page_reader returns a Page
        has_more = len(page) > limit
        rest: dict[str, Any] = {
            "next_cursor": access.seal_cursor(page.position, request) if has_more else None,
            "as_of": today.isoformat(),
            **filtered.days,
        }
        rows = b",".join(page[:limit] if has_more else page)
        return b"{" + self._rows_name + b":[" + rows + b"]," + to_json(rest)[1:]

    def _all_arguments(self, table: Table) -> list[Argument]:
        declared = self._declared
        sorts = [name for name, column in table.columns.items() if column.sort]
        # The default first, then times, numbers, texts: the order in the description of `descending`.
        sorts.sort(key=lambda name: (name != self._sort, _SORT_ORDER.get(table.columns[name].type, len(_SORT_ORDER))))
        order: list[Argument] = []
        if sorts:
            default = self._sort
            order.append(Argument("sort", schema.one_of(sorts), "What to sort by.", default=default))
        descending = "Newest, largest or last in the alphabet first; false for the other way round."
        return [
            *self._filters.arguments(),
            *order,
            Argument("descending", bool_schema(), descending, default=(declared.sort or "").startswith("-")),
            Argument(
                "limit",
                schema.integer(1, declared.max_limit),
                f"How many {table.rows_name} at most.",
                default=declared.limit,
            ),
            Argument(
                "cursor",
                schema.text(_CURSOR_CHARACTERS),
                "next_cursor of the page before, with all other arguments unchanged.",
            ),
        ]

    def _request(self, asked: Mapping[str, Any], days: Mapping[str, str | None]) -> str:
        """Return what a cursor is bound to: the days of the period and all arguments except cursor and limit."""
        bound = {name: value for name, value in asked.items() if name not in _NOT_BOUND}
        return f"{self.name} {self._digest} {to_json([bound, days]).decode()}"


def _start(position: tuple[str | None, ...] | None, *, nullable: bool) -> tuple[Start, tuple[str, ...]]:
    """Return how a page starts, and the values to bind: the values of the position that are not null."""
    if position is None:
        return "beginning", ()
    values = tuple(one for one in position if one is not None)
    return ("null" if nullable and position[0] is None else "value"), values


def _result_schema(table: Table, days: tuple[str, ...]) -> dict[str, Any]:
    rows = {
        "description": "In the order asked for, as many as `limit` at most.",
        "type": "array",
        "items": {"$ref": "#/$defs/Row"},
    }
    fields = {
        table.rows_name: rows,
        "next_cursor": nullable("string", "There are more: pass it as `cursor`. Null on the last page."),
        "as_of": {"type": "string", "description": f"The day ({table.timezone}) that periods were resolved against."},
        **{
            day: nullable(
                "string", f"{'First' if day.endswith('_from') else 'Last'} day that was searched; null for no limit."
            )
            for day in days
        },
    }
    return object_of(
        fields,
        f"One page of {table.rows_name}.",
        defs={"Row": row_schema(table.columns, "One row; a text that is cut ends with an ellipsis.")},
    )
