"""The declarations of a catalog file: tables, SQL tools, searches and prompts, as an operator writes them in TOML.

`tenantgate tools schema` prints these models as JSON Schema; docs/catalog.md explains every key.
"""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from server.catalog.columns import Column, ColumnType, Entry, Identifier, Name, Number, Sentence, listed, misfit_limits
from server.settings import Scope

ParameterType = Literal[
    "text", "integer", "decimal", "boolean", "date", "timestamp", "uuid", "text[]", "integer[]", "uuid[]"
]
# The names of the arguments that listing and summary tools have themselves.
RESERVED: Final = frozenset({"period", "sort", "descending", "limit", "cursor", "group_by"})

TOOL_NAME: Final = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"
ToolName = Annotated[str, Field(pattern=TOOL_NAME)]


def _qualified(name: str) -> str:
    if not re.fullmatch(r"[^.\x00]{1,63}\.[^.\x00]{1,63}", name):
        raise ValueError('must be "schema.table", without quotes; a name with a dot in it cannot be declared')
    return name


RelationName = Annotated[str, AfterValidator(_qualified)]


class Through(Entry):
    """The tenant of a child table: that of the parent row which its foreign key names."""

    through: Identifier
    parent: RelationName
    key: Identifier | None = Field(default=None, description="The parent's column; else its primary key.")


class Listing(Entry):
    """The tool that lists rows."""

    tool: ToolName
    title: Sentence | None = None
    description: Sentence | None = None
    sort: Annotated[str, Field(pattern=r"^-?[A-Za-z][A-Za-z0-9_]*$")] | None = Field(
        default=None, description='The order without the argument `sort`; "-name" for descending.'
    )
    limit: Annotated[int, Field(ge=1, le=1_000)] = 20
    max_limit: Annotated[int, Field(ge=1, le=1_000)] = 100

    @model_validator(mode="after")
    def _limit_is_allowed(self) -> Self:
        if self.limit > self.max_limit:
            raise ValueError("limit is larger than max_limit; lower it")
        return self


class Summary(Entry):
    """The tool that counts and adds up."""

    tool: ToolName
    title: Sentence | None = None
    description: Sentence | None = None
    max_groups: Annotated[int, Field(ge=1, le=5_000)] = 500
    chart: bool = Field(default=True, description="Offer the result as a chart to clients with the MCP Apps extension.")
    rollup: Literal["day"] | None = Field(
        default=None, description="A table of daily totals, kept by triggers, from which large tenants are answered."
    )


class Table(Entry):
    """One table or view: whose rows these are, which columns may be read, and the tools over them."""

    name: RelationName
    tenant: Identifier | Through | None = Field(default=None, description="The tenant's column, or the way to it.")
    shared: bool = Field(default=False, description="Reference data that every tenant may read.")
    scope: Scope
    description: Sentence | None = None
    rows: Name | None = Field(default=None, description="The name of the list in the answer; else the table's name.")
    key: Annotated[tuple[Identifier, ...], BeforeValidator(listed)] = Field(
        default=(), description="Columns that name one row, unique and not null; else the primary key."
    )
    timezone: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+/-]{1,64}$")] = "UTC"
    brief: bool = Field(
        default=False, description="Describe the tools in few words, without the form of the result; for many tables."
    )
    list: Listing | None = None
    summary: Summary | None = None
    columns: dict[Name, Column] = Field(min_length=1)

    @property
    def rows_name(self) -> str:
        """The name of the list in the answer."""
        return self.rows or self.name.partition(".")[2]

    @property
    def tenant_column(self) -> str | None:
        """The column that holds the tenant itself, if the table has one."""
        return self.tenant if isinstance(self.tenant, str) else None

    def column_of(self, name: str) -> str:
        """Return the database's name of a declared column."""
        return self.columns[name].column or name

    def sort_column_of(self, name: str) -> str:
        """Return the database's name of the column by which rows are sorted when a caller asks for this order."""
        return self.columns[name].sort_by or self.column_of(name)

    @property
    def read_columns(self) -> set[str]:
        """The database's names of the columns that the tools show or sort by."""
        shown = set(map(self.column_of, self.columns))
        return shown | set(map(self.sort_column_of, self.columns)) if self.list else shown


class Parameter(Entry):
    """A named, typed parameter of a SQL tool."""

    type: ParameterType
    description: Sentence
    required: bool = False
    default: str | int | float | bool | None = None
    values: Annotated[tuple[str, ...], BeforeValidator(listed)] = ()
    minimum: Number | None = None
    maximum: Number | None = None
    pattern: str | None = None
    max_length: Annotated[int, Field(ge=1, le=100_000)] | None = None

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        text, number = self.type in {"text", "text[]"}, self.type in {"integer", "decimal"}
        if self.required and self.default is not None:
            raise ValueError("a required parameter has no default; remove one of the two")
        if not text and (self.values or self.pattern or self.max_length):
            raise ValueError("only a text parameter has values, pattern and max_length; remove them")
        if not number and (self.minimum is not None or self.maximum is not None):
            raise ValueError("only an integer or decimal parameter has minimum and maximum; remove them")
        for wrong, remedy in misfit_limits(self.type, self.minimum, self.maximum):
            if wrong:
                raise ValueError(remedy)
        return self


class ResultColumn(Entry):
    """A typed column of a SQL tool's result."""

    type: ColumnType
    description: Sentence | None = None
    max_length: Annotated[int, Field(ge=2, le=100_000)] | None = None


class SqlTool(Entry):
    """One SELECT of the operator as a tool; row level security limits what it reads, whatever it says."""

    name: ToolName
    title: Sentence | None = None
    description: Sentence
    scope: Scope
    sql: Annotated[str, Field(min_length=1, max_length=100_000)]
    max_rows: Annotated[int, Field(ge=1, le=5_000)] = 100
    parameters: dict[Name, Parameter] = Field(default={})
    columns: dict[Name, ResultColumn] = Field(min_length=1)


class Search(Entry):
    """A tool that searches the document store."""

    tool: ToolName
    title: Sentence | None = None
    description: Sentence
    scope: Scope
    query_description: Sentence = "The question in plain words."
    labels: dict[Name, Sentence] | Annotated[tuple[Name, ...], BeforeValidator(listed)] = Field(
        default=(), description="Labels that a caller may narrow by, with a text for each if given as a table."
    )

    @property
    def label_texts(self) -> dict[str, str]:
        """The labels with the text of each argument."""
        if isinstance(self.labels, dict):
            return dict(self.labels)
        return {name: f"Only documents with this {name}. It can only narrow." for name in self.labels}


class PromptArgument(Entry):
    """What a person fills in."""

    description: Sentence
    required: bool = True
    max_length: Annotated[int, Field(ge=1, le=10_000)] = 1_000


class Prompt(Entry):
    """A text that a person picks in their client; `{name}` stands for an argument."""

    name: ToolName
    title: Sentence | None = None
    description: Sentence
    tools: Annotated[tuple[ToolName, ...], BeforeValidator(listed)] = Field(
        default=(), description="The prompt is offered where all of these tools are."
    )
    arguments: dict[Name, PromptArgument] = Field(default={})
    text: Annotated[str, Field(min_length=1, max_length=50_000)]


class CatalogFile(Entry):
    """One file of the catalog."""

    instructions: Sentence | None = Field(
        default=None, description="What a model should know at the start, where a tool of this file is offered."
    )
    table: tuple[Table, ...] = ()
    tool: tuple[SqlTool, ...] = ()
    search: tuple[Search, ...] = ()
    prompt: tuple[Prompt, ...] = ()
