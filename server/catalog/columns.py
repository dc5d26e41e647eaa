"""A declared column, and the types that all declarations share."""

from typing import Annotated, Any, Final, Literal, Self, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

# A longer text is cut unless its column sets `max_length`, so that the size of an answer is limited.
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
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,62}$")]
# The name of a column or relation as in pg_catalog, without quotes.
Identifier = Annotated[str, Field(min_length=1, max_length=63)]
Sentence = Annotated[str, Field(min_length=1, max_length=4_000)]
Number = int | Annotated[float, Field(allow_inf_nan=False)]


def listed(value: Any) -> Any:
    """Return a list as a tuple, and any other value unchanged: TOML has lists, and the models have tuples."""
    return tuple(cast("list[Any]", value)) if isinstance(value, list) else value


class Entry(BaseModel):
    """Whatever a file declares; an unknown key is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Column(Entry):
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
    sort_by: Identifier | None = Field(
        default=None, description="Another column of the database with the same order, by which pages are found faster."
    )
    group: bool | Annotated[tuple[Bucket, ...], BeforeValidator(listed)] = Field(
        default=False, description="Rows can be counted by it; for dates and timestamps, the lengths of time."
    )
    measures: Annotated[tuple[Measure, ...], BeforeValidator(listed)] = Field(
        default=(), description="What the summary tool computes of it; integers and decimals only."
    )
    period: bool = Field(default=False, description="The argument `period` (last_week, …) means this column.")
    values: Annotated[tuple[str, ...], BeforeValidator(listed)] = Field(
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
    """Return a line with the remedy for each key that the column's type does not allow."""
    kind, number, moment = column.type, column.type in {"integer", "decimal"}, column.type in {"date", "timestamp"}
    scalar = not column.is_array and kind != "json"
    rules = (
        (column.filter is True and not scalar, f"a {kind} column cannot have filter = true; remove it"),
        (column.filter == "contains" and kind != "text", 'only a text column can have filter = "contains"; remove it'),
        (
            column.filter == "range" and not (number or moment),
            'only numbers and times can have filter = "range"; write filter = true',
        ),
        (column.sort and not scalar, f"a {kind} column cannot have sort; remove it"),
        (bool(column.sort_by) and not column.sort, "sort_by needs sort = true; add that, or remove sort_by"),
        (bool(column.group) and not scalar, f"a {kind} column cannot have group; remove it"),
        (
            column.group is True and kind == "timestamp",
            'a timestamp is grouped by time: write group = ["week", "month"]',
        ),
        (
            isinstance(column.group, tuple) and not moment,
            "only a date or timestamp has a list in group; write group = true",
        ),
        (bool(column.measures) and not number, "only an integer or decimal column has measures; remove them"),
        (
            column.period and not (moment and column.filter == "range"),
            'period = true needs a date or timestamp with filter = "range"; add that, or remove period',
        ),
        (bool(column.values) and kind not in {"text", "text[]"}, "only a text column has values; remove them"),
        (
            column.max_length is not None and kind not in {"text", "text[]"},
            "only a text column has max_length; remove it",
        ),
        (
            any(x is not None for x in (column.minimum, column.maximum)) and not number,
            "only a number has minimum and maximum; remove them",
        ),
        (column.decimals is not None and kind != "decimal", "only a decimal column has decimals; remove it"),
        *misfit_limits(kind, column.minimum, column.maximum),
    )
    return [remedy for wrong, remedy in rules if wrong]


def misfit_limits(kind: str, minimum: float | None, maximum: float | None) -> list[tuple[bool, str]]:
    """Return the rules for `minimum` and `maximum`: whether each is broken, and its message."""
    parts = any(isinstance(one, float) and not one.is_integer() for one in (minimum, maximum))
    crossed = minimum is not None and maximum is not None and minimum > maximum
    return [
        (kind == "integer" and parts, "minimum and maximum of an integer must be whole numbers; correct them"),
        (crossed, "minimum is larger than maximum; swap them"),
    ]
