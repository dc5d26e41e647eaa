"""The tool that counts and adds up rows of a declared table; the database computes every figure."""

from collections.abc import Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from mcp_types import Tool as ToolDescription
from pydantic_core import to_json

from server.catalog import schema
from server.catalog.access import TenantAccess
from server.catalog.brief import brief_schema, brief_text, column_texts
from server.catalog.columns import Bucket, Column
from server.catalog.declarations import Summary, Table
from server.catalog.filters import Filtered, Filters
from server.catalog.measures import MEASURES
from server.catalog.results import nullable, object_of
from server.catalog.rollups import is_one_moment
from server.catalog.schema import Argument, ArgumentSchema
from server.catalog.source import TableSource
from server.catalog.texts import readable, shortened, titled
from server.catalog.tool import Tool, description_of
from server.catalog.view import chart
from server.database.statement import Row

_KEY_CHARACTERS: Final = 4_000
_WEEKS: Final = "; weeks are ISO weeks such as 2026-W47"
_EMPTY: Final = "Null when there are no rows."
Group = tuple[str, Bucket | None]


class SummaryTool(Tool):
    """Counts the rows that row level security lets the caller's tenant see."""

    def __init__(self, source: TableSource, declared: Summary) -> None:
        """Read the declaration once; statements are made when they are needed."""
        self.name = declared.tool
        self.scope = source.table.scope
        self.view = chart(declared.tool, declared.title or titled(declared.tool)) if declared.chart else None
        self._declared: Final = declared
        self._source: Final = source
        self._filters: Final = Filters(source.table)
        self._zone: Final = ZoneInfo(source.table.timezone)
        self._groups: Final = groups_of(source.table)
        weeks = any(bucket == "week" for _, bucket in self._groups.values())
        text = f"One group for each value{_WEEKS if weeks else ''}. Leave out for totals."
        groups = Argument("group_by", schema.one_of(list(self._groups)), text)
        self._arguments: Final = ArgumentSchema(
            "Filters and grouping.", [*self._filters.arguments(), *([groups] if self._groups else [])]
        )

    def describe(self) -> ToolDescription:
        """Return the entry of tools/list."""
        table = self._source.table
        if table.brief:
            # The listing, if there is one, already has the descriptions of the table and its columns.
            said = table.description if table.list is None else None
            text = self._declared.description or brief_text(f"Counts {table.rows_name}.", said)
            arguments = brief_schema(self._arguments.json_schema, column_texts(table) if table.list is None else {})
            return description_of(
                self.name, self._declared.title, text, arguments=arguments, result=None, view=self.view
            )
        return description_of(
            self.name,
            self._declared.title or titled(self.name),
            self._declared.description or table.description or f"Counts {table.rows_name}.",
            arguments=self._arguments.json_schema,
            result=self._result_schema(),
            view=self.view,
        )

    async def answer(self, arguments: dict[str, Any], access: TenantAccess) -> bytes:
        """Return the groups and totals as JSON text.

        Raises ArgumentsError for contradicting filters, UnavailableError without the database.
        """
        asked = self._arguments.parse(arguments)
        today = access.now.astimezone(self._zone).date()
        filtered = self._filters.read(asked, today)
        group = self._groups.get(asked.get("group_by") or "")
        rolled = self._is_by_whole_days(filtered)
        statement = self._source.compiled().summary(filtered.filters, group, rolled=rolled)
        total, *groups = await access.fetch(statement, *filtered.values, shown=self._declared.max_groups + 1)
        del total["key"]
        answer = {
            "groups": [_shown(one) for one in groups[: self._declared.max_groups]],
            "more_groups": len(groups) > self._declared.max_groups,
            "total": total,
            "as_of": today.isoformat(),
            **filtered.days,
        }
        return to_json(answer)

    def _is_by_whole_days(self, filtered: Filtered) -> bool:
        """Whether each first and last day begins at exactly one time, so that a roll-up's days match the filters."""
        asked = zip(filtered.filters, filtered.values, strict=True)
        return all(is_one_moment(value, self._zone) for (_, how), value in asked if how in {"from", "before"})

    def _result_schema(self) -> dict[str, Any]:
        table = self._source.table
        measured = {name: column for name, column in table.columns.items() if column.measures}
        totals = {"count": {"type": "integer"}, **_measure_schemas(measured)}
        key = nullable("string", "The group's value; `all` without group_by; null for rows without a value.")
        fields = {
            "groups": {
                "description": f"In the order of their keys; at most {self._declared.max_groups} groups.",
                "type": "array",
                "items": {"$ref": "#/$defs/Group"},
            },
            "more_groups": {
                "type": "boolean",
                "description": "There were more groups than are shown; narrow the filters. `total` has all.",
            },
            "total": {"$ref": "#/$defs/Totals"},
            "as_of": {
                "type": "string",
                "description": f"The day ({table.timezone}) that periods were resolved against.",
            },
            **{
                day: nullable(
                    "string", f"{'First' if day.endswith('_from') else 'Last'} day that was counted; null for no limit."
                )
                for day in self._filters.day_names
            },
        }
        defs = {
            "Group": object_of({"key": key, **totals}, "The totals of one group."),
            "Totals": object_of(totals, "Count and figures; decimals are strings."),
        }
        return object_of(fields, "The groups, in the order of their keys, and the totals over all of them.", defs=defs)


def groups_of(table: Table) -> dict[str, Group]:
    """Return the values of `group_by`: a column, a length of time, or both if several columns have dates."""
    dated = {name: column for name, column in table.columns.items() if isinstance(column.group, tuple)}
    found: dict[str, Group] = {}
    for name, column in table.columns.items():
        if column.group is True:
            found[name] = (name, None)
        elif isinstance(column.group, tuple):
            for bucket in column.group:
                found[bucket if len(dated) == 1 and bucket not in table.columns else f"{name}_{bucket}"] = (
                    name,
                    bucket,
                )
    return found


def _shown(group: Row) -> Row:
    key: str | None = group["key"]
    return group if key is None else {**group, "key": shortened(readable(key), _KEY_CHARACTERS)}


def _measure_schemas(measured: Mapping[str, Column]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, column in measured.items():
        for measure in MEASURES:
            if measure in column.measures:
                kind = "integer" if column.type == "integer" and measure != "average" else "string"
                text = _EMPTY if measure != "total" else None
                found[f"{measure}_{name}"] = {"type": kind} if text is None else nullable(kind, text)
    return found
