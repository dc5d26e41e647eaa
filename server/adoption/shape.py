"""What the tools of a table can do with its columns: the most useful filters, sort orders, groups and measures."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from server.adoption.columns import Choice, is_text
from server.adoption.naming import plain_name
from server.adoption.relations import FoundRelation
from server.adoption.sensitive import words, words_of
from server.catalog.columns import Column
from server.catalog.declarations import RESERVED
from server.catalog.filters import stem

_HAPPENED: Final = (
    "created",
    "placed",
    "filed",
    "ordered",
    "inserted",
    "added",
    "issued",
    "occurred",
    "started",
    "date",
)
_NAMES: Final = frozenset({"name", "title", "subject", "label", "headline"})
_CODES: Final = frozenset({"number", "no", "code", "slug", "reference", "ref", "sku"})
_FIGURES: Final = words("""
    amount annotations balance budget cost count discount duration fee hours length minutes points price qty quantity
    revenue score seats seconds size stock subtotal sum tax total units value weight
""")
# A sum of these has no meaning.
_RATES: Final = frozenset({"percent", "percentage", "probability", "rate", "ratio", "confidence", "score", "share"})
# A longer list of values is not offered as a choice.
_MOST_VALUES: Final = 24
_SORTED_CHARACTERS: Final = 200
_COMMENT_CHARACTERS: Final = 240
# A column by its database name, and keys that its declaration could get.
Wish = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Shape:
    """The declared columns by the names that the tools show; `sort` is the default order of the listing."""

    columns: Mapping[str, Column]
    sort: str | None


def shape_of(found: FoundRelation, choice: Choice, references: Collection[str], fits: Callable[[Shape], bool]) -> Shape:
    """Return the shape of one table: as many useful keys as `fits` allows, the most useful first.

    `choice` holds its declared columns; `references` are the columns of its foreign keys.
    """
    names = shown_names(choice.declared)
    moment = _moment(found, choice)
    said: dict[str, dict[str, Any]] = {name: {} for name in choice.declared}
    shape = _shape(found, choice, names, said, moment)
    for column, keys in _Wishes(found, choice, references, moment).in_order():
        if not _can_be_argument(names[column]):
            continue
        more = {**said, column: {**said[column], **keys}}
        larger = _shape(found, choice, names, more, moment)
        if fits(larger):
            said, shape = more, larger
    return shape


def shown_names(columns: Collection[str]) -> dict[str, str]:
    """Return the name that the tools show for each column; all arguments made from these names differ."""
    names: dict[str, str] = {}
    taken: set[str] = set()
    for column in columns:
        name = plain_name(column, taken)
        names[column] = name
        taken |= {name, stem(name), *(f"{stem(name)}_{end}" for end in ("from", "to")), f"min_{name}", f"max_{name}"}
    return names


def shortened(text: str, characters: int) -> str:
    """Return a text cut between words to at most `characters` characters."""
    return text if len(text) <= characters else f"{text[: characters - 1].rpartition(' ')[0]}…"


def _shape(
    found: FoundRelation,
    choice: Choice,
    names: Mapping[str, str],
    said: Mapping[str, Mapping[str, Any]],
    moment: str | None,
) -> Shape:
    columns: dict[str, Column] = {}
    for column, kind in choice.declared.items():
        own: dict[str, Any] = {"type": kind, "column": column if names[column] != column else None}
        if _is_list(found.values.get(column, ())) and kind == "text":
            own["values"] = list(found.values[column])
        if comment := found.comments.get(column):
            own["description"] = shortened(comment, _COMMENT_CHARACTERS)
        columns[names[column]] = Column.model_validate(own | dict(said[column]))
    sort = names[moment] if moment and columns[names[moment]].sort else None
    return Shape(columns, f"-{sort}" if sort else None)


def _can_be_argument(name: str) -> bool:
    # The tools already have arguments with the reserved names, and no argument may name a tenant.
    return name not in RESERVED and name not in {"tenant", "tenant_id"}


class _Wishes:
    """The keys that the columns of one table could have."""

    def __init__(self, found: FoundRelation, choice: Choice, references: Collection[str], moment: str | None) -> None:
        """Sort the columns by their use."""
        declared, self._key = choice.declared, found.facts.primary_key
        self._found: Final = found
        self._declared: Final = declared
        self._moment: Final = moment
        self._texts: Final = [
            name for name, kind in declared.items() if kind == "text" and is_text(found.facts.columns[name])
        ]
        self._ids: Final = [name for name in declared if name in references and name not in self._key]
        self._figures: Final = list(_figures(choice, {*self._ids, *self._key, *references}))
        self._few: Final = [
            *(name for name in self._texts if _is_list(found.values.get(name, ()))),
            *(name for name, kind in declared.items() if kind == "boolean"),
        ]

    def in_order(self) -> Iterator[Wish]:
        """Yield the wishes, the most useful first."""
        named, coded = self._free()
        rest = {"filter": True, "group": True}
        yield from self._when({"filter": "range", "sort": True, "group": ["week", "month"]})
        if len(self._key) == 1 and self._declared.get(self._key[0]) in {"integer", "uuid", "text"}:
            yield self._key[0], {"filter": True}
        yield from ((name, rest) for name in self._few[:1])
        yield from self._when({"filter": "range", "period": True})
        keys = {"filter": "contains", "sort": True, "max_length": _SORTED_CHARACTERS}
        yield from ((name, keys) for name in named[:1])
        yield from ((name, rest) for name in self._ids[:1])
        yield from ((name, {"sort": True, "measures": measures}) for name, measures in self._figures[:2])
        yield from ((name, rest) for name in self._few[1:4])
        yield from ((name, {"filter": True}) for name in coded[:1])
        yield from ((name, rest) for name in self._ids[1:3])
        yield from ((name, {"filter": "range"}) for name, _ in self._figures[:1])
        many = self._found.values.keys() - set(self._few)
        yield from ((name, {"group": True}) for name in self._texts if name in many)

    def _when(self, keys: Mapping[str, Any]) -> Iterator[Wish]:
        if self._moment is not None:
            yield self._moment, keys

    def _free(self) -> tuple[list[str], list[str]]:
        """Return the text columns that hold a name, and those that hold a number or code."""
        taken = {*self._found.values, *self._ids, *self._key}
        free = [name for name in self._texts if name not in taken]
        return _ending(free, _NAMES), _ending(free, _CODES)


def _ending(names: Collection[str], words: Collection[str]) -> list[str]:
    return [name for name in names if (words_of(name) or [""])[-1] in words]


def _is_list(values: Collection[str]) -> bool:
    """Whether the values of a column can be offered as a list to choose from."""
    # Arguments are trimmed, so a value with leading or trailing blanks could not be chosen.
    return 0 < len(values) <= _MOST_VALUES and all(value and value.strip() == value for value in values)


def _figures(choice: Choice, ids: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield the columns to add up or average, with their measures: decimals, and integers named like a quantity."""
    for name, kind in choice.declared.items():
        words = set(words_of(name))
        if name not in ids and (kind == "decimal" or (kind == "integer" and words & _FIGURES)):
            yield name, ["average", "largest", "smallest"] if words & _RATES else ["total", "average", "largest"]


def _moment(found: FoundRelation, choice: Choice) -> str | None:
    """Return the column with the time a row was created, else the first NOT NULL date or timestamp column."""
    moments = [name for name, kind in choice.declared.items() if kind in {"date", "timestamp"}]
    for word in _HAPPENED:
        for name in moments:
            if word in words_of(name):
                return name
    return next((name for name in moments if found.facts.columns[name].not_null), None)
