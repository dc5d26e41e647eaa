"""The blocks of rows that a page is made of: each follows from one index, in its order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from psycopg import sql

from server.catalog.expressions import SQL, Composable, placeholder

# Where a page starts: at the beginning, after a row with a sort value, or after a row whose sort value is NULL.
Start = Literal["beginning", "value", "null"]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of a page that follow from one index: their condition, and the order in which the index has them."""

    where: sql.Composed
    order: Sequence[Composable]


@dataclass(frozen=True, slots=True)
class PageStart:
    """Where a page starts: the number of the position's first parameter, and the direction."""

    first: int
    start: Start
    descending: bool

    def blocks(self, where: sql.Composed, order: Sequence[Composable], *, nullable: bool) -> list[Block]:
        """Return the rows after the start that `where` has: two blocks where ones with and without a value follow."""
        if self.start == "beginning":
            return [Block(where, order)]
        after = SQL("<" if self.descending else ">")
        if self.start == "value":
            rows = Block(SQL("{} AND {}").format(where, _after(order, after, self.first)), order)
            if self.descending or not nullable:
                return [rows]
            return [rows, Block(SQL("{} AND {} IS NULL").format(where, order[0]), order)]
        if not nullable:
            return [Block(where, order)]
        nulls = SQL("{} AND {} IS NULL").format(where, order[0])
        if len(order) > 1:
            nulls = SQL("{} AND {}").format(nulls, _after(order[1:], after, self.first))
        others = [Block(SQL("{} AND {} IS NOT NULL").format(where, order[0]), order)] if self.descending else []
        return [Block(nulls, order), *others]


def _after(order: Sequence[Composable], after: sql.SQL, first: int) -> sql.Composed:
    values = [placeholder(first + place) for place in range(len(order))]
    return SQL("({}) {} ({})").format(SQL(", ").join(order), after, SQL(", ").join(values))
