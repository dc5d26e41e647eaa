"""A declared table with what the database was proved to say of it; nothing is compiled before that."""

from collections.abc import Mapping
from typing import Final

from server.catalog.compile import CompiledTable
from server.catalog.declarations import Table
from server.catalog.facts import RelationFacts
from server.catalog.rollups import rollup_of
from server.errors import UnavailableError

_NOT_YET: Final = "The database is not available; nothing was read. Retry in a few seconds."


class TableSource:
    """What the listing and the summary tool of one table share."""

    def __init__(self, table: Table) -> None:
        """Wait for the facts: the declaration alone describes the tools."""
        self.table: Final = table
        self._compiled: CompiledTable | None = None

    def bind(self, facts: Mapping[str, RelationFacts]) -> None:
        """Take what the database says now; statements that were made for the same facts are kept."""
        found = facts[self.table.name]
        rollup = rollup_of(self.table)
        rolled = facts.get(rollup.name) if rollup else None
        if self._compiled is None or (self._compiled.facts, self._compiled.rolled) != (found, rolled):
            self._compiled = CompiledTable(self.table, found, rolled)

    def compiled(self) -> CompiledTable:
        """Return the statements; raises UnavailableError while the database has not been reached yet."""
        if self._compiled is None:
            raise UnavailableError(_NOT_YET)
        return self._compiled
