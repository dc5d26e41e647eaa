"""What a summary computes of a column, as SQL: exact, in whatever order the rows come."""

from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Sums:
    """What a summary makes of one column: the sum and the number of its values, its largest and its smallest one."""

    total: Composable
    values: Composable
    largest: Composable
    smallest: Composable


def of_rows(shown: sql.Identifier, summed: sql.Identifier) -> Sums:
    """Return the sums over rows: `shown` and `summed` are the columns of values as `number` and `exact` give them."""
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
                # Not avg(), which keeps 16 digits in all: of large numbers, too few behind the point.
                return SQL("round({} * {} / nullif({}, 0), {})::text").format(sums.total, _ONE, sums.values, scale)
            case "largest" | "smallest":
                extreme = sums.largest if measure == "largest" else sums.smallest
                return extreme if whole else SQL("{}::text").format(extreme)

    return [
        SQL("{} AS {}").format(result(measure), sql.Identifier(f"{measure}_{name}"))
        for measure in MEASURES
        if measure in column.measures
    ]
