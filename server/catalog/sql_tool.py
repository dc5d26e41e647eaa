"""The tool of a declared SELECT; row level security limits the rows that any SELECT reads."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final, cast

from mcp_types import Tool as ToolDescription
from psycopg import sql
from pydantic_core import CoreSchema, core_schema, to_json

from server.catalog import schema
from server.catalog.access import TenantAccess
from server.catalog.columns import TEXT_CHARACTERS
from server.catalog.declarations import Parameter, ResultColumn, SqlTool
from server.catalog.expressions import shown_as
from server.catalog.filters import bound
from server.catalog.results import object_of, row_schema
from server.catalog.rows import page_reader
from server.catalog.schema import Argument, ArgumentSchema
from server.catalog.texts import titled
from server.catalog.tool import Tool, description_of
from server.database.statement import Statement
from server.errors import ArgumentsError

_TEXT_CHARACTERS: Final = 1_000
_LIST_ITEMS: Final = 100


class DeclaredSqlTool(Tool):
    """Runs one SELECT of the operator with typed parameters."""

    def __init__(self, declared: SqlTool) -> None:
        """Compile the statement once; raises ValueError when it is not one SELECT with the declared parameters."""
        self.name = declared.name
        self.scope = declared.scope
        self.statement: Final = compiled(declared)
        self._declared: Final = declared
        self._arguments: Final = ArgumentSchema(
            "Parameters.", [_argument(name, one) for name, one in declared.parameters.items()]
        )

    def describe(self) -> ToolDescription:
        """Return the entry of tools/list."""
        fields = {
            "rows": {"type": "array", "items": {"$ref": "#/$defs/Row"}},
            "truncated": {
                "type": "boolean",
                "description": f"There were more rows than the {self._declared.max_rows} that are shown.",
            },
        }
        return description_of(
            self.name,
            self._declared.title or titled(self.name),
            self._declared.description,
            arguments=self._arguments.json_schema,
            result=object_of(fields, "The rows.", defs={"Row": row_schema(self._declared.columns, "One row.")}),
        )

    def wrong_defaults(self) -> Iterator[tuple[str, str]]:
        """Yield each parameter that does not accept its own default, and why."""
        for name, parameter in self._declared.parameters.items():
            if parameter.default is not None:
                try:
                    ArgumentSchema("", [_argument(name, parameter)]).parse({name: parameter.default})
                except ArgumentsError as error:
                    yield name, str(error).partition(f": {name}: ")[2].removesuffix(".")

    async def answer(self, arguments: dict[str, Any], access: TenantAccess) -> bytes:
        """Return the rows as JSON text; raises ArgumentsError, and UnavailableError without the database."""
        asked = self._arguments.parse(arguments)
        most = self._declared.max_rows
        values = (_sent(asked[name]) for name in self._declared.parameters)
        rows = await access.fetch(self.statement, *values, shown=most)
        return b'{"rows":[' + b",".join(rows[:most]) + b'],"truncated":' + to_json(len(rows) > most) + b"}"


def compiled(declared: SqlTool) -> Statement[bytes]:
    """Return the statement: the declared columns of the operator's SELECT, and one row more than is shown."""
    # The tokenizer is loaded only if a catalog has SQL tools.
    from server.catalog.sql_text import read_sql

    text = read_sql(declared.sql, declared.parameters).composed(
        {name: parameter.type for name, parameter in declared.parameters.items()}
    )
    columns = sql.SQL(", ").join(_column(name, column) for name, column in declared.columns.items())
    # The line break ends a comment at the end of the text; otherwise the bracket would be in the comment.
    wrapped = sql.SQL("SELECT {} FROM ({}\n) AS r LIMIT {}").format(columns, text, sql.Literal(declared.max_rows + 1))
    read = page_reader(declared.columns)
    return Statement(f"sql {declared.name}", wrapped, bytes, parameters=len(declared.parameters), read=read)


def _column(name: str, column: ResultColumn) -> sql.Composed:
    expression = shown_as(sql.Identifier("r", name), column.type, column.max_length or TEXT_CHARACTERS)
    return sql.SQL("{} AS {}").format(expression, sql.Identifier(name))


def _argument(name: str, parameter: Parameter) -> Argument:
    kind = parameter.type.removesuffix("[]")
    item = _scalar(kind, parameter)
    if parameter.type.endswith("[]"):
        item = core_schema.list_schema(item, min_length=1, max_length=_LIST_ITEMS)
    return Argument(name, item, parameter.description, parameter.required, parameter.default)


def _scalar(kind: str, parameter: Parameter) -> CoreSchema:
    if parameter.values:
        return schema.one_of(parameter.values)
    match kind:
        case "text":
            return schema.text(parameter.max_length or _TEXT_CHARACTERS, parameter.pattern)
        case "integer":
            return schema.integer(parameter.minimum, parameter.maximum)
        case "decimal":
            return schema.decimal(parameter.minimum, parameter.maximum)
        case _:
            return schema.SCALARS[kind]()


def _sent(value: Any) -> object:
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return [bound(one) for one in cast("list[object]", value)]
    return bound(value)
