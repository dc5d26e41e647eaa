"""The measures of a summary as SQL; results are exact and do not depend on the order of the rows."""

from dataclasses import dataclass
from typing import Final, cast

from psycopg import sql

from server.catalog.columns import Column, Measure
from server.catalog.expressions import SQL, Composable
from server.catalog.facts import ColumnFacts

MEASURES: Final[tuple[Measure, ...]] = cast("tuple[Measure, ...]", ("total", "average", "largest", "smallest"))
# A factor that gives a division this many decimal places.
_ONE: Final = SQL("1.0000000000000000000000000000000000000000")


def number(reference: Composable, facts: ColumnFacts) -> Composable:
    """Return a number as it is shown. Without the cast, 0.7 in a real column would not equal a parameter 0.7."""
    if facts.base == "real":
        return SQL("{}::text::float8").format(reference)
    return SQL("{}::numeric").format(reference) if facts.base == "money" else reference


def exact(reference: Composable, facts: ColumnFacts) -> Composable:
    """Return a number in a type whose sums are exact in any order of the rows."""
    if facts.base in {"real", "double precision"}:
        return SQL("{}::text::numeric").format(reference)
    return number(reference, facts)


@dataclass(frozen=True, slots=True)
class Sums:
    """The sums of one column: the total and the number of its values, the largest and the smallest value."""

    total: Composable
    values: Composable
    largest: Composable
    smallest: Composable


def of_rows(shown: sql.Identifier, summed: sql.Identifier) -> Sums:
    """Return the sums over rows; `shown` is a column made by `number`, and `summed` one made by `exact`."""
    return Sums(
        SQL("sum({})").format(summed),
        SQL("count({})").format(summed),
        SQL("max({})").format(shown),
        SQL("min({})").format(shown),
    )


def measures(name: str, column: Column, facts: ColumnFacts, sums: Sums) -> list[Composable]:
    """Return the results of one column, in a fixed order: integers as numbers, decimals as text."""
    whole = column.type == "integer"
    scale = sql.Literal(facts.scale if facts.scale is not None else 6)

    def result(measure: Measure) -> Composable:
        match measure:
            case "total" if whole or facts.scale is None:
                total = SQL("coalesce({}, 0)").format(sums.total)
                return total if whole else SQL("{}::text").format(total)
            case "total":
                return SQL("round(coalesce({}, 0), {})::text").format(sums.total, scale)
            case "average":
                # Not avg(): it keeps 16 digits in total, too few decimal places for large numbers.
                return SQL("round({} * {} / nullif({}, 0), {})::text").format(sums.total, _ONE, sums.values, scale)
            case "largest" | "smallest":
                extreme = sums.largest if measure == "largest" else sums.smallest
                return extreme if whole else SQL("{}::text").format(extreme)

    return [
        SQL("{} AS {}").format(result(measure), sql.Identifier(f"{measure}_{name}"))
        for measure in MEASURES
        if measure in column.measures
    ]
