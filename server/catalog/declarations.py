"""The declarations of a catalog file: tables, SQL tools, searches and prompts, as an operator writes them in TOML.

`tenantgate tools schema` prints these models as JSON Schema; docs/catalog.md explains every key.
"""

import re
from typing import Annotated, Any, Final, Literal, Self, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from server.settings import Scope

# A longer text is cut where its column says nothing else, so that no answer grows without end.
TEXT_CHARACTERS: Final = 4_000
Bucket = Literal["day", "week", "month", "year"]
Measure = Literal["total", "average", "largest", "smallest"]
ColumnType = Literal[
    "text",
    "integer",
    "decimal",
    "boolean",
    "date",
    "timestamp",
    "uuid",
    "json",
    "text[]",
    "integer[]",
    "decimal[]",
    "boolean[]",
    "date[]",
    "timestamp[]",
    "uuid[]",
    "json[]",
]
ParameterType = Literal[
    "text", "integer", "decimal", "boolean", "date", "timestamp", "uuid", "text[]", "integer[]", "uuid[]"
]
# Names that the listing and summary tools give their own arguments.
RESERVED: Final = frozenset({"period", "sort", "descending", "limit", "cursor", "group_by"})

TOOL_NAME: Final = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"
ToolName = Annotated[str, Field(pattern=TOOL_NAME)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,62}$")]
# What PostgreSQL calls a column or relation, as it stands in the catalogue, without quotes.
Identifier = Annotated[str, Field(min_length=1, max_length=63)]
Sentence = Annotated[str, Field(min_length=1, max_length=4_000)]
Number = int | Annotated[float, Field(allow_inf_nan=False)]


def _qualified(name: str) -> str:
    if not re.fullmatch(r"[^.\x00]{1,63}\.[^.\x00]{1,63}", name):
        raise ValueError('must be "schema.table", without quotes; a name with a dot in it cannot be declared')
    return name


RelationName = Annotated[str, AfterValidator(_qualified)]


def _listed(value: Any) -> Any:
    # A list is written where several are possible, a word where one is.
    return tuple(cast("list[Any]", value)) if isinstance(value, list) else value


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Column(_Entry):
    """One column that the tools may show; its key is the name that a model reads."""

    type: ColumnType
    column: Identifier | None = Field(default=None, description="The column's name in the database; else the key.")
    description: Sentence | None = Field(default=None, description="What it holds, as a model should read it.")
    nullable: bool = Field(default=True, description="false: no row is without it; compared with the database.")
    filter: bool | Literal["contains", "range"] = Field(
        default=False,
        description="true: equals; contains: part of a text; range: from and to, or smallest and largest.",
    )
    filter_description: Sentence | None = Field(default=None, description="Text of the filter's argument.")
    sort: bool = Field(default=False, description="Rows can be sorted by it.")
    group: bool | Annotated[tuple[Bucket, ...], BeforeValidator(_listed)] = Field(
        default=False, description="Rows can be counted by it; for dates and timestamps, the lengths of time."
    )
    measures: Annotated[tuple[Measure, ...], BeforeValidator(_listed)] = Field(
        default=(), description="What the summary tool computes of it; integers and decimals only."
    )
    period: bool = Field(default=False, description="The argument `period` (last_week, …) means this column.")
    values: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=(), description="All values that it can have; the filter accepts no other."
    )
    max_length: Annotated[int, Field(ge=2, le=100_000)] | None = Field(
        default=None, description=f"A longer text is cut; {TEXT_CHARACTERS} characters when this is not set."
    )
    minimum: Number | None = Field(default=None, description="The smallest number that the filter accepts.")
    maximum: Number | None = Field(default=None, description="The largest number that the filter accepts.")
    decimals: Annotated[int, Field(ge=0, le=30)] | None = Field(
        default=None, description="How many decimal places the filter accepts."
    )

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        for problem in _misfits(self):
            raise ValueError(problem)
        return self

    @property
    def is_array(self) -> bool:
        """Whether it holds a list of values."""
        return self.type.endswith("[]")


def _misfits(column: Column) -> list[str]:
    """Return what a column says that its type cannot do, each with the remedy."""
    kind, number, moment = column.type, column.type in {"integer", "decimal"}, column.type in {"date", "timestamp"}
    scalar = not column.is_array and kind != "json"
    rules = (
        (column.filter is True and not scalar, f"filter = true is not for {kind}; remove it"),
        (column.filter == "contains" and kind != "text", 'filter = "contains" is for text alone; remove it'),
        (
            column.filter == "range" and not (number or moment),
            'filter = "range" is for numbers and times; write filter = true',
        ),
        (column.sort and not scalar, f"sort is not for {kind}; remove it"),
        (bool(column.group) and not scalar, f"group is not for {kind}; remove it"),
        (
            column.group is True and kind == "timestamp",
            'a timestamp is grouped by time: write group = ["week", "month"]',
        ),
        (
            isinstance(column.group, tuple) and not moment,
            "a list in group is for dates and timestamps; write group = true",
        ),
        (bool(column.measures) and not number, "measures are for integers and decimals alone; remove them"),
        (
            column.period and not (moment and column.filter == "range"),
            'period needs a date or timestamp with filter = "range"',
        ),
        (bool(column.values) and kind not in {"text", "text[]"}, "values are for text alone; remove them"),
        (column.max_length is not None and kind not in {"text", "text[]"}, "max_length is for text alone; remove it"),
        (
            any(x is not None for x in (column.minimum, column.maximum)) and not number,
            "minimum and maximum are for numbers; remove them",
        ),
        (column.decimals is not None and kind != "decimal", "decimals is for type decimal alone; remove it"),
        *_misfit_limits(kind, column.minimum, column.maximum),
    )
    return [remedy for wrong, remedy in rules if wrong]


def _misfit_limits(kind: str, minimum: float | None, maximum: float | None) -> list[tuple[bool, str]]:
    """Return the rules of the smallest and the largest number."""
    parts = any(isinstance(one, float) and not one.is_integer() for one in (minimum, maximum))
    crossed = minimum is not None and maximum is not None and minimum > maximum
    return [
        (kind == "integer" and parts, "minimum and maximum of an integer are whole numbers"),
        (crossed, "minimum is larger than maximum; swap them"),
    ]


class Through(_Entry):
    """The tenant of a child table: that of the parent row which its foreign key names."""

    through: Identifier
    parent: RelationName
    key: Identifier | None = Field(default=None, description="The parent's column; else its primary key.")


class Listing(_Entry):
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


class Summary(_Entry):
    """The tool that counts and adds up."""

    tool: ToolName
    title: Sentence | None = None
    description: Sentence | None = None
    max_groups: Annotated[int, Field(ge=1, le=5_000)] = 500
    chart: bool = Field(default=True, description="Offer the result as a chart to clients with the MCP Apps extension.")


class Table(_Entry):
    """One table or view: whose rows these are, which columns may be read, and the tools over them."""

    name: RelationName
    tenant: Identifier | Through | None = Field(default=None, description="The tenant's column, or the way to it.")
    shared: bool = Field(default=False, description="Reference data that every tenant may read.")
    scope: Scope
    description: Sentence | None = None
    rows: Name | None = Field(default=None, description="The name of the list in the answer; else the table's name.")
    key: Annotated[tuple[Identifier, ...], BeforeValidator(_listed)] = Field(
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


class Parameter(_Entry):
    """A named, typed parameter of a SQL tool."""

    type: ParameterType
    description: Sentence
    required: bool = False
    default: str | int | float | bool | None = None
    values: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
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
            raise ValueError("values, pattern and max_length are for text alone; remove them")
        if not number and (self.minimum is not None or self.maximum is not None):
            raise ValueError("minimum and maximum are for integer and decimal alone; remove them")
        for wrong, remedy in _misfit_limits(self.type, self.minimum, self.maximum):
            if wrong:
                raise ValueError(remedy)
        return self


class ResultColumn(_Entry):
    """A typed column of a SQL tool's result."""

    type: ColumnType
    description: Sentence | None = None
    max_length: Annotated[int, Field(ge=2, le=100_000)] | None = None


class SqlTool(_Entry):
    """One SELECT of the operator as a tool; row level security limits what it reads, whatever it says."""

    name: ToolName
    title: Sentence | None = None
    description: Sentence
    scope: Scope
    sql: Annotated[str, Field(min_length=1, max_length=100_000)]
    max_rows: Annotated[int, Field(ge=1, le=5_000)] = 100
    parameters: dict[Name, Parameter] = {}
    columns: dict[Name, ResultColumn] = Field(min_length=1)


class Search(_Entry):
    """A tool that searches the document store."""

    tool: ToolName
    title: Sentence | None = None
    description: Sentence
    scope: Scope
    query_description: Sentence = "The question in plain words."
    labels: dict[Name, Sentence] | Annotated[tuple[Name, ...], BeforeValidator(_listed)] = Field(
        default=(), description="Labels that a caller may narrow by, with a text for each if given as a table."
    )

    @property
    def label_texts(self) -> dict[str, str]:
        """The labels with the text of each argument."""
        if isinstance(self.labels, dict):
            return dict(self.labels)
        return {name: f"Only documents with this {name}. It can only narrow." for name in self.labels}


class PromptArgument(_Entry):
    """What a person fills in."""

    description: Sentence
    required: bool = True
    max_length: Annotated[int, Field(ge=1, le=10_000)] = 1_000


class Prompt(_Entry):
    """A text that a person picks in their client; `{name}` stands for an argument."""

    name: ToolName
    title: Sentence | None = None
    description: Sentence
    tools: Annotated[tuple[ToolName, ...], BeforeValidator(_listed)] = Field(
        default=(), description="The prompt is offered where all of these tools are."
    )
    arguments: dict[Name, PromptArgument] = {}
    text: Annotated[str, Field(min_length=1, max_length=50_000)]


class CatalogFile(_Entry):
    """One file of the catalog."""

    instructions: Sentence | None = Field(
        default=None, description="What a model should know at the start, where a tool of this file is offered."
    )
    table: tuple[Table, ...] = ()
    tool: tuple[SqlTool, ...] = ()
    search: tuple[Search, ...] = ()
    prompt: tuple[Prompt, ...] = ()
