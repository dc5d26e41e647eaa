"""What a summary computes of a column, as SQL: exact, in whatever order the rows come."""

from typing import Final, cast

from psycopg import sql

from server.catalog.columns import Column, Measure
from server.catalog.expressions import SQL, Composable
from server.catalog.facts import ColumnFacts

MEASURES: Final[tuple[Measure, ...]] = cast("tuple[Measure, ...]", ("total", "average", "largest", "smallest"))
# One, with as many decimal places as a division by it keeps.
_ONE: Final = SQL("1.0000000000000000000000000000000000000000")


def number(reference: Composable, facts: ColumnFacts) -> Composable:
    """Return a number as it is shown: 0.7 of a column of type real is not the 0.7 of a parameter otherwise."""
    if facts.base == "real":
        return SQL("{}::text::float8").format(reference)
    return SQL("{}::numeric").format(reference) if facts.base == "money" else reference


def exact(reference: Composable, facts: ColumnFacts) -> Composable:
    """Return a number that adds up without rounding, in whatever order the rows come."""
    if facts.base in {"real", "double precision"}:
        return SQL("{}::text::numeric").format(reference)
    return number(reference, facts)


def measures(
    name: str, column: Column, facts: ColumnFacts, shown: sql.Identifier, summed: sql.Identifier
) -> list[Composable]:
    """Return the results of one column, in a fixed order: integers as numbers, decimals as text.

    `shown` and `summed` are the columns of its values as `number` and `exact` give them.
    """
    whole = column.type == "integer"
    scale = sql.Literal(facts.scale if facts.scale is not None else 6)

    def result(measure: Measure) -> Composable:
        match measure:
            case "total" if whole or facts.scale is None:
                total = SQL("coalesce(sum({}), 0)").format(summed)
                return total if whole else SQL("{}::text").format(total)
            case "total":
                return SQL("round(coalesce(sum({}), 0), {})::text").format(summed, scale)
            case "average":
                # Not avg(), which keeps 16 digits in all: of large numbers, too few behind the point.
                return SQL("round(sum({}) * {} / nullif(count({}), 0), {})::text").format(summed, _ONE, summed, scale)
            case "largest" | "smallest":
                extreme = SQL("max({})" if measure == "largest" else "min({})").format(shown)
                return extreme if whole else SQL("{}::text").format(extreme)

    return [
        SQL("{} AS {}").format(result(measure), sql.Identifier(f"{measure}_{name}"))
        for measure in MEASURES
        if measure in column.measures
    ]
