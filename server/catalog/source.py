"""A declared table with its checked facts from the database; nothing is compiled before these are known."""

from collections.abc import Mapping
from typing import Final

from server.catalog.compile import CompiledTable
from server.catalog.declarations import Table
from server.catalog.facts import RelationFacts
from server.catalog.rollups import rollup_of
from server.errors import UnavailableError

_NOT_YET: Final = "The database is not available; nothing was read. Retry in a few seconds."


class TableSource:
    """The part that the listing and the summary tool of one table share."""

    def __init__(self, table: Table) -> None:
        """Keep the declaration, which is enough to describe the tools; `bind` adds the facts."""
        self.table: Final = table
        self._compiled: CompiledTable | None = None

    def bind(self, facts: Mapping[str, RelationFacts]) -> None:
        """Take the present facts from the database; statements are kept while the facts are the same."""
        found = facts[self.table.name]
        rollup = rollup_of(self.table)
        rolled = facts.get(rollup.name) if rollup else None
        if self._compiled is None or (self._compiled.facts, self._compiled.rolled) != (found, rolled):
            self._compiled = CompiledTable(self.table, found, rolled)

    def compiled(self) -> CompiledTable:
        """Return the compiled table; raises UnavailableError until the database has been reached."""
        if self._compiled is None:
            raise UnavailableError(_NOT_YET)
        return self._compiled
