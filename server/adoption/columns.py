"""Which columns of a table are declared, and which are left out and why."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from server.adoption.relations import FoundRelation
from server.adoption.sensitive import why_sensitive
from server.catalog.columns import ColumnType
from server.catalog.facts import ColumnFacts

_TYPES: Final[Mapping[str, ColumnType]] = {
    "text": "text",
    "character varying": "text",
    "character": "text",
    "name": "text",
    "citext": "text",
    '"char"': "text",
    "smallint": "integer",
    "integer": "integer",
    "bigint": "integer",
    "numeric": "decimal",
    "real": "decimal",
    "double precision": "decimal",
    "money": "decimal",
    "boolean": "boolean",
    "date": "date",
    "timestamp with time zone": "timestamp",
    "timestamp without time zone": "timestamp",
    "uuid": "uuid",
    "json": "json",
    "jsonb": "json",
}
# Types that are only shown, as text: no filters, no sorting.
_SHOWN_AS_TEXT: Final = frozenset(
    {"interval", "time without time zone", "time with time zone", "inet", "cidr", "macaddr"}
)
_ENUM: Final = "e"
_RANGES: Final = frozenset({"r", "m"})


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A column that is not declared; `type` is the type it could be declared with, None when there is none."""

    column: str
    reason: str
    type: ColumnType | None


@dataclass(frozen=True, slots=True)
class Choice:
    """The columns of a table by their database names: the declared ones with their types, and the others."""

    declared: Mapping[str, ColumnType]
    left_out: tuple[LeftOut, ...]


def choose_columns(found: FoundRelation, tenant: str | None, references: Collection[str]) -> Choice:
    """Return the choice for one table.

    `tenant` is its tenant column, which is the same in all rows that a caller sees; `references` are the columns of
    its foreign keys.
    """
    declared: dict[str, ColumnType] = {}
    left_out: list[LeftOut] = []
    for name, column in found.facts.columns.items():
        kind = declared_type(column)
        reason = _why_left_out(found, column, kind, tenant, references)
        if reason is None and kind is not None:
            declared[name] = kind
        else:
            left_out.append(LeftOut(name, reason or f"its type {column.type} cannot be read by a tool", kind))
    hidden = {one.column: one for one in left_out}
    for name, reason in _computed_from_hidden(found, declared, hidden):
        left_out.append(LeftOut(name, reason, declared.pop(name)))
    return Choice(declared, tuple(left_out))


def declared_type(column: ColumnFacts) -> ColumnType | None:
    """Return the type with which a column can be declared, None when its values have no readable form."""
    base, is_array = column.base.removesuffix("[]"), column.base.endswith("[]")
    if column.kind == _ENUM or column.kind in _RANGES or base in _SHOWN_AS_TEXT:
        return "text" if not is_array else None
    kind = _TYPES.get(base)
    if kind is None or not is_array:
        return kind
    array: dict[ColumnType, ColumnType] = {
        "text": "text[]",
        "integer": "integer[]",
        "decimal": "decimal[]",
        "boolean": "boolean[]",
        "date": "date[]",
        "timestamp": "timestamp[]",
        "uuid": "uuid[]",
        "json": "json[]",
    }
    return array[kind]


def is_text(column: ColumnFacts) -> bool:
    """Whether a column that is declared as text can be filtered and sorted as text."""
    return column.kind == _ENUM or _TYPES.get(column.base) == "text"


def _why_left_out(
    found: FoundRelation, column: ColumnFacts, kind: ColumnType | None, tenant: str | None, references: Collection[str]
) -> str | None:
    if column.name == tenant:
        return "holds the tenant, the same in every row that a caller sees"
    if kind is None:
        return None
    values = found.values.get(column.name, ())
    sensitive = why_sensitive(column, values, refers=column.name in references)
    if sensitive is None and kind.removesuffix("[]") == "json":
        return "is JSON, which can hold anything"
    return sensitive


def _computed_from_hidden(
    found: FoundRelation, declared: Collection[str], hidden: Mapping[str, LeftOut]
) -> Iterator[tuple[str, str]]:
    """Yield the declared columns that are computed from a column that is left out because of its content."""
    for name, sources in found.sources.items():
        secret = sorted(one for one in sources if one in hidden and hidden[one].type is not None)
        if name in declared and secret:
            yield name, f"is computed from {', '.join(secret)}, which {_is_or_are(secret)} left out"


def _is_or_are(names: Collection[Any]) -> str:
    return "is" if len(names) == 1 else "are"
