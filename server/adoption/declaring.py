"""The declaration of each decided table: its key, its columns and its tools."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

from server.adoption.columns import Choice, LeftOut, choose_columns
from server.adoption.naming import plain_name, tool_name
from server.adoption.relations import DatabaseRelations, FoundRelation
from server.adoption.sensitive import why_sensitive
from server.adoption.shape import Shape, shape_of, shortened
from server.adoption.tool_size import share_of_list, tools_bytes
from server.adoption.ways import Own, Parent, Shared
from server.catalog.columns import Column
from server.catalog.comparison import differences
from server.catalog.declarations import Listing, Summary, Table, Through
from server.catalog.filters import Filters

_DESCRIPTION_CHARACTERS: Final = 200
_SHORT_DESCRIPTION_CHARACTERS: Final = 80
Known = Own | Parent | Shared


@dataclass(frozen=True, slots=True)
class DeclaredTable:
    """A declared table, and the choice of its columns."""

    table: Table
    choice: Choice

    @property
    def left_out(self) -> tuple[LeftOut, ...]:
        """The columns that are not declared, other than the tenant's."""
        return tuple(one for one in self.choice.left_out if one.column != self.table.tenant_column)


class Refused(Exception):  # noqa: N818  # a decision, not a failure
    """A table cannot be declared; the message says why."""


class Declaring:
    """Makes the declarations of one database, with a unique name for each tool."""

    def __init__(self, database: DatabaseRelations, wanted: Iterable[str], taken: Iterable[str] = ()) -> None:
        """Take the tables that get tools; other tables are declared only as parents.

        `taken` are the names of other tools.
        """
        self._database: Final = database
        self._wanted: Final = frozenset(wanted)
        self._most_bytes: Final = share_of_list(len(self._wanted))
        self._taken: Final[set[str]] = {"whoami", *taken}
        names = [plain_name(name.partition(".")[2]) for name in self._wanted]
        self._repeated: Final = {name for name in names if names.count(name) > 1}
        self._references: Final[dict[str, set[str]]] = {name: set() for name in database.relations}
        for key in database.foreign_keys:
            self._references[key.table].update(key.columns)

    def declare(self, name: str, way: Known) -> DeclaredTable:
        """Return the declaration of a table; raises Refused when it cannot be read safely."""
        found = self._database.relations[name]
        choice = choose_columns(found, way.column if isinstance(way, Own) else None, self._references[name])
        if isinstance(way, Parent) and self._is_hidden(parent := self._database.relations[way.parent], way.key):
            reason = why_sensitive(parent.facts.columns[way.key])
            raise Refused(f"the column {way.key} of its parent {way.parent} {reason}, and the login would read it")
        key = self._key(found)
        bare = Shape(_only(found, key), None)
        if not bare.columns and not choice.declared:
            raise Refused("it has no column that may be read")
        table = Table(
            name=found.name,
            tenant=_tenant(way, self._database),
            shared=isinstance(way, Shared),
            scope=f"{plain_name(found.facts.schema)}:read",
            key=key if key != found.facts.primary_key else (),
            brief=True,
            columns=dict(bare.columns or _only(found, choice.declared)),
        )
        if name in self._wanted:
            table = self._with_tools(found, table, choice)
        return DeclaredTable(table, choice)

    def _key(self, found: FoundRelation) -> tuple[str, ...]:
        """Return a key whose columns may be read, the primary key if possible; empty without a primary key."""
        own = found.facts
        for key in own.keys:
            if not any(self._is_hidden(found, column) for column in key):
                return key
        if own.primary_key:
            hidden = next(column for column in own.primary_key if self._is_hidden(found, column))
            reason = why_sensitive(own.columns[hidden])
            raise Refused(f"its key {hidden} {reason}, and it has no other key that identifies a row")
        return ()

    def _is_hidden(self, found: FoundRelation, column: str) -> bool:
        refers = column in self._references[found.name]
        return why_sensitive(found.facts.columns[column], found.values.get(column, ()), refers=refers) is not None

    def _with_tools(self, found: FoundRelation, table: Table, choice: Choice) -> Table:
        """Return the table with its tools, and as many arguments as fit into their share of the tool list."""
        own, with_schema = found.facts, plain_name(found.facts.name) in self._repeated
        query, summarize = (
            tool_name(verb, own.schema, own.name, self._taken, with_schema=with_schema)
            for verb in ("query", "summarize")
        )
        table = table.model_copy(update={"summary": Summary(tool=summarize, chart=False)})
        listed = table.model_copy(update={"list": Listing(tool=query)})
        if not any(problem.startswith("key: ") for problem in differences(listed, own)):
            table = listed
            self._taken.add(query)
        self._taken.add(summarize)
        table = self._described(table, found.comment)
        if not choice.declared:
            return _with_rows_name(table)
        shape = shape_of(found, choice, self._references[found.name], lambda one: self._fits(_shaped(table, one)))
        return _shaped(table, shape)

    def _described(self, table: Table, comment: str | None) -> Table:
        """Return the table with its comment as description, shortened or left out if it does not fit."""
        if not comment:
            return table
        for characters in (_DESCRIPTION_CHARACTERS, _SHORT_DESCRIPTION_CHARACTERS):
            described = table.model_copy(update={"description": shortened(comment, characters)})
            if self._fits(described):
                return described
        return table

    def _fits(self, table: Table) -> bool:
        return tools_bytes(table) <= self._most_bytes


def _shaped(table: Table, shape: Shape) -> Table:
    listing = table.list.model_copy(update={"sort": shape.sort}) if table.list else None
    return _with_rows_name(table.model_copy(update={"columns": dict(shape.columns), "list": listing}))


def _only(found: FoundRelation, names: Collection[str]) -> dict[str, Column]:
    """Return the plain declarations of some columns."""
    choice = choose_columns(found, None, found.facts.columns)
    return {
        plain_name(name): Column(type=choice.declared[name], column=None if plain_name(name) == name else name)
        for name in names
        if name in choice.declared
    }


def _tenant(way: Known, database: DatabaseRelations) -> str | Through | None:
    if isinstance(way, Own):
        return way.column
    if isinstance(way, Shared):
        return None
    primary = database.relations[way.parent].facts.primary_key
    return Through(through=way.through, parent=way.parent, key=None if primary == (way.key,) else way.key)


def _with_rows_name(table: Table) -> Table:
    own = table.name.partition(".")[2]
    plain = plain_name(own)
    if plain in {"next_cursor", "as_of", *Filters(table).day_names}:
        plain = f"{plain}_rows"
    return table.model_copy(update={"rows": None if plain == own else plain})
