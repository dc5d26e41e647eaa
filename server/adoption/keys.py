"""The foreign keys of a database, as ways to a tenant: which refer to a parent, and which hold the tenant itself."""

from collections.abc import Container, Iterator, Mapping
from typing import Final

from server.adoption.relations import DatabaseRelations, ForeignKey, FoundRelation
from server.adoption.request import Request

# Tables and partitioned tables: only these can have policies.
TABLES: Final = frozenset({"r", "p"})
# A table and one of its columns.
_Place = tuple[str, str]


class ForeignKeys:
    """The tables that can have policies, and the foreign keys between them.

    Partitions, inheritance children and tables of extensions are included only when an option names them.
    """

    def __init__(self, database: DatabaseRelations, request: Request) -> None:
        """Find the table of tenants: the one where all chains of foreign keys from the named columns end."""
        named = {table for _, table in request.mentioned}
        self.tables: Final[Mapping[str, FoundRelation]] = {
            name: one
            for name, one in database.relations.items()
            if one.facts.kind in TABLES and (name in named or not (one.part_of or one.extension))
        }
        self._keys: Final[dict[str, list[ForeignKey]]] = {name: [] for name in self.tables}
        self._refers: Final[dict[_Place, list[_Place]]] = {}
        for key in database.foreign_keys:
            if key.table in self.tables and key.parent in self.tables:
                self._keys[key.table].append(key)
                for column, parent_column in zip(key.columns, key.keys, strict=True):
                    self._refers.setdefault((key.table, column), []).append((key.parent, parent_column))
        ends = {
            end
            for name, one in self.tables.items()
            for column in request.names
            if column in one.facts.columns and (name, column) in self._refers
            for end in self._ends((name, column))
        }
        self.tenants_table, self.tenants_key = ends.pop() if len(ends) == 1 else ("", "")

    def holders(self, table: str) -> list[str]:
        """Return the columns of a table that hold a tenant, because they refer to the table of tenants."""
        return [column for column in self.tables[table].facts.columns if self.holds_tenant(table, column)]

    def holds_tenant(self, table: str, column: str) -> bool:
        """Whether a column of another table refers to the key of the table of tenants."""
        end = (self.tenants_table, self.tenants_key)
        return table != self.tenants_table and (table, column) in self._refers and end in self._ends((table, column))

    def steps(self, table: str, column: str | None = None) -> list[tuple[str, str, str]]:
        """Return the one-column foreign keys to other tables, each once: column, parent, the parent's column."""
        return list(
            dict.fromkeys(
                (key.columns[0], key.parent, key.keys[0])
                for key in self._keys[table]
                if len(key.columns) == 1 and key.parent != table and column in {None, key.columns[0]}
            )
        )

    def wide(self, table: str, parents: Container[str]) -> ForeignKey | None:
        """Return a foreign key of several columns to one of `parents`, if there is one."""
        return next((key for key in self._keys[table] if len(key.columns) > 1 and key.parent in parents), None)

    def _ends(self, place: _Place) -> Iterator[_Place]:
        """Yield the places where the chains of references from a column end."""
        seen, waiting = {place}, [place]
        while waiting:
            here = waiting.pop()
            following = self._refers.get(here, [])
            if not following:
                yield here
            waiting += [one for one in following if one not in seen]
            seen.update(following)
