"""Plain queries of a superuser over one tenant's rows, which the model itself is checked against."""

from dataclasses import dataclass
from typing import Any

import psycopg
from foreign.model import DeclaredTable
from foreign.schema import identifier
from psycopg import sql
from psycopg.sql import SQL


@dataclass(frozen=True)
class Superuser:
    """Plain queries over the same rows, which are found by their keys."""

    connection: psycopg.Connection[Any]
    relation: str
    table: DeclaredTable

    def keys_by(self, name: str) -> list[tuple[str, ...]]:
        """Return the keys of the rows, in descending order of a column."""
        longest = self.table.columns[name].get("max_length")
        value = SQL("left({}, {})" if longest and not self.table.kind(name).labels else "{}")
        order = value.format(sql.Identifier("t", self.table.source(name)), sql.Literal(longest))
        keys = SQL(", ").join(SQL("{} DESC").format(sql.Identifier("t", one)) for one in self.table.key)
        # Qualified: a bare name would mean the text of the result.
        text = SQL("SELECT {} FROM {} AS t WHERE {} ORDER BY {} DESC, {}")
        return self.connection.execute(
            text.format(self._key(), identifier(self.relation), self._own(), order, keys)
        ).fetchall()

    def measured(self, name: str, measure: str) -> float:
        """Return a sum or an average."""
        function = SQL("sum({}::text::numeric)" if measure == "total" else "avg({}::text::numeric)")
        value = function.format(sql.Identifier(self.table.source(name)))
        text = SQL("SELECT {}::text FROM {} WHERE {}").format(value, identifier(self.relation), self._own())
        ((found,),) = self.connection.execute(text).fetchall()
        return float(found)

    def _key(self) -> sql.Composed:
        return SQL(", ").join(SQL("{}::text").format(sql.Identifier(one)) for one in self.table.key)

    def _own(self) -> sql.Composed:
        rows = [
            SQL("({})").format(SQL(", ").join(sql.Literal(row[one]) for one in self.table.key))
            for row in self.table.rows
        ]
        return SQL("({}) IN ({})").format(self._key(), SQL(", ").join(rows))
