"""The SQL with which a summary reads a roll-up, in the same form as it reads rows."""

from dataclasses import replace

from psycopg import sql

from server.catalog.columns import Bucket
from server.catalog.expressions import SQL, Composable, bucketed, column_of
from server.catalog.facts import ColumnFacts, RelationFacts
from server.catalog.measures import Sums
from server.catalog.rollups import DAY, ROWS, Figure, Rollup


def rolled_source(
    rollup: Rollup, own: RelationFacts, key: Composable, by: str | None, where: sql.Composed
) -> sql.Composed:
    """Return the query for the rows of a roll-up, each with the key of its group; `own` has the source table's facts.

    With `by`, rows are first added up by this column, so that the key is computed once per value.
    """
    sums = [SQL("sum({})::bigint AS {}").format(column_of(ROWS), sql.Identifier(ROWS))]
    figures = [ROWS]
    for figure in rollup.figures:
        forms = (
            (figure.total, SQL("sum({}) AS {}")),
            (figure.values, SQL("sum({})::bigint AS {}")),
            (figure.largest, SQL("max({}) AS {}")),
            (figure.smallest, SQL("min({}) AS {}")),
        )
        for column, form in forms:
            if column:
                sums.append(form.format(column_of(column), sql.Identifier(column)))
                figures.append(column)
    relation = sql.Identifier(own.schema, rollup.name.partition(".")[2])
    # Without rows there is no group.
    grouped = SQL("HAVING count(*) > 0") if by is None else SQL("GROUP BY {}").format(column_of(by))
    columns = sums if by is None else [column_of(by), *sums]
    parts = SQL("SELECT {} FROM {} AS t WHERE {} {}").format(SQL(", ").join(columns), relation, where, grouped)
    shown = SQL(", ").join(map(column_of, figures))
    return SQL('SELECT {} COLLATE "C" AS key, {} FROM ({}) AS t').format(key, shown, parts)


def of_rollup(figure: Figure) -> Sums:
    """Return the sums over rows of a roll-up, which are sums already."""

    def added(form: sql.SQL, column: str | None) -> Composable:
        return form.format(sql.Identifier(column)) if column else SQL("NULL")

    total, values = added(SQL("sum({})"), figure.total), added(SQL("sum({})"), figure.values)
    return Sums(total, values, added(SQL("max({})"), figure.largest), added(SQL("min({})"), figure.smallest))


def day_key(facts: ColumnFacts, bucket: Bucket | None, zone: str) -> Composable:
    """Return the key of a day's group: the same text as for every time in this day."""
    day = column_of(DAY)
    if facts.base == "date":
        return bucketed(day, facts, bucket, zone)
    local = replace(facts, base="timestamp without time zone")
    return bucketed(SQL("({}::timestamp)").format(day), local, bucket, zone)
