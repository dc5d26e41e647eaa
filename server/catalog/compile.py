"""Compile declarations to SQL: only this module turns text that is not a literal into SQL.

Identifiers are composed by psycopg.sql, never formatted; values are always parameters. The form of the statements
follows docs/catalog.md (types, pages, sums); each was tested on PostgreSQL.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, LiteralString
from zoneinfo import ZoneInfo

from psycopg import sql

from server.catalog.blocks import Block, PageStart, Start
from server.catalog.columns import TEXT_CHARACTERS, Bucket, Column
from server.catalog.declarations import Table
from server.catalog.expressions import SQL, Composable, bucketed, column_of, placeholder, position_of, shown
from server.catalog.facts import ColumnFacts, RelationFacts
from server.catalog.letter_case import folded
from server.catalog.measures import exact, measures, number, of_rows
from server.catalog.ordering import OrderKey, Share, indexed_shares, key_of, ordering, share_ordering
from server.catalog.rolled import day_key, of_rollup, rolled_source
from server.catalog.rollups import DAY, ROWS, rollup_of
from server.catalog.rows import page_reader
from server.catalog.tenant_columns import family_of
from server.database.statement import Outputs, Row, Statement

# A filter of a WHERE clause: the declared column, and how its value is compared.
Comparison = Literal["equals", "contains", "from", "before", "at_least", "at_most"]
Filter = tuple[str, Comparison]
_STATEMENTS_KEPT: Final = 512
# Names that no declared column has: the sort value in a block of a page, a row, and its tenant.
_VALUE: Final = "tenantgate_value"
_ROW: Final = SQL("tenantgate_row")
_TENANT: Final = "_tenant"


@dataclass(frozen=True, slots=True)
class Order:
    """Whether rows may have no sort value, so that a position may begin with None."""

    nullable: bool


class CompiledTable:
    """One declared table with its facts from the database; each statement is made once per combination."""

    def __init__(self, table: Table, facts: RelationFacts, rolled: RelationFacts | None = None) -> None:
        """Keep the facts; statements are compiled later. `rolled` has the facts of the table's roll-up, if any."""
        self.table: Final = table
        rollup = rollup_of(table)
        self.rolled: Final = rolled
        # Without the roll-up's table, or when a column is missing in it, summaries read the rows.
        self.rollup: Final = rollup if rollup and rolled and rolled.columns.keys() >= {*rollup.columns} else None
        self.facts: Final = facts
        self.key: Final = key_of(table, facts)
        self.listing: Final = lru_cache(_STATEMENTS_KEPT)(self._listing)
        self.order: Final = lru_cache(_STATEMENTS_KEPT)(self._order_of)
        # One row more than a page may have shows whether there is a next page.
        self._most: Final = (table.list.max_limit if table.list else 0) + 1
        # The tenant of each row, where it is a text: the server compares it, and any other type has several forms.
        tenant = table.tenant_column
        is_text = tenant is not None and facts.kind in {"r", "p"} and family_of(facts.columns[tenant]) == "text"
        self._compared: Final = tenant if is_text else None
        self._read: Final = page_reader(table.columns, self._rewritten())
        self.summary: Final = lru_cache(_STATEMENTS_KEPT)(self._summary)

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the table's days."""
        return ZoneInfo(self.table.timezone)

    def _order_of(self, sort: str | None) -> Order:
        """Return whether the sort value can be null, which a cursor needs to know."""
        nullable = sort is not None and not self._sort_facts(sort).not_null
        return Order(nullable)

    def _listing(
        self, filters: tuple[Filter, ...], sort: str | None, descending: bool, start: Start
    ) -> Statement[bytes]:
        """Return the statement of a page; its parameters are the values of the filters, the position and the limit."""
        order = self._order(sort)
        first = len(filters) + 1
        skipped = 1 if start == "null" else 0
        taken = 0 if start == "beginning" else len(order) - skipped
        divided = indexed_shares(self.table, self.facts, sort) is not None
        # The blocks have the sort value as a column, so that PostgreSQL merges them as it reads them.
        ordered = self._ordered([column_of(_VALUE), *order[1:]] if divided else order, descending=descending)
        columns = [SQL("{} AS {}").format(self._shown(name), sql.Identifier(name)) for name in self.table.columns]
        added = self._beside(sort)
        beside = [SQL("{} AS {}").format(value, sql.Identifier(name)) for name, value in added.items()]
        blocks = self._blocks(filters, sort, descending=descending, start=start)
        where = SQL("")
        if divided or len(blocks) > 1:
            parts = [
                SQL("(SELECT {}{} FROM {} AS t WHERE {} {})").format(
                    self._columns(sort),
                    SQL(", ({})::text AS {}").format(block.order[0], sql.Identifier(_VALUE)) if divided else SQL(""),
                    self._relation(),
                    block.where,
                    self._ordered(block.order, descending=descending),
                )
                for block in blocks
            ]
            source = SQL("({}) AS t").format(SQL(" UNION ALL ").join(parts))
        elif start == "value" and self._is_walked(sort):
            source = self._by_keys(blocks[0].where, ordered)
        else:
            source, where = SQL("{} AS t").format(self._relation()), SQL("WHERE {}").format(blocks[0].where)
        # A row is put together where it is read: every further step of the plan handles one value instead of many.
        page = SQL("SELECT {} FROM {} CROSS JOIN LATERAL (SELECT {}) AS {} {} {}").format(
            SQL(", ").join([_ROW, *beside]),
            source,
            SQL(", ").join(columns),
            _ROW,
            where,
            ordered,
        )
        # The inner limit is a constant, so that PostgreSQL keeps a generic plan. With only a parameter, it expects a
        # tenth of all rows, considers the generic plan expensive, and plans each call again.
        limit = placeholder(first + taken)
        text = SQL("SELECT * FROM ({}) AS page LIMIT {}::int").format(page, limit)
        # The last row only shows that there is a next page; the next page begins after the row before it.
        after = [
            _exact(SQL("(array_agg({}))[{}::int - 1]").format(sql.Identifier("r", f"_{place}"), limit), facts)
            for place, (_, facts) in enumerate(self._positions(sort))
        ]
        tenant = sql.Identifier("r", _TENANT) if _TENANT in added else None
        outputs = Outputs(SQL("r.{}").format(_ROW), after, tenant)
        return Statement(
            f"list {self.table.name}", text, bytes, parameters=first + taken, read=self._read, outputs=outputs
        )

    def _ordered(self, order: Sequence[Composable], *, descending: bool) -> sql.Composed:
        """Return ORDER BY and LIMIT of a page."""
        most = SQL("LIMIT {}").format(sql.Literal(self._most))
        directed = SQL(", ").join(SQL("{} {}").format(one, SQL("DESC" if descending else "ASC")) for one in order)
        return SQL("ORDER BY {} {}").format(directed, most) if order else most

    def _beside(self, sort: str | None) -> dict[str, Composable]:
        """Return what a page reads beside the columns that are shown: the position, and the tenant of each row."""
        added: dict[str, Composable] = {f"_{place}": value for place, (value, _) in enumerate(self._positions(sort))}
        if self._compared is not None:
            added[_TENANT] = SQL('{}::text COLLATE "C"').format(column_of(self._compared))
        return added

    def _is_walked(self, sort: str | None) -> bool:
        """Whether PostgreSQL reads an index from its beginning to find the start of a page.

        The comparison functions of these types are not leakproof: row level security allows them only after the policy.
        With such a key, rows could not be found by their keys: that would read all rows of the tenant for each page.
        """
        if sort is None or any(_is_leaky(self.facts.columns[one]) for one in self.key):
            return False
        return _is_leaky(self._sort_facts(sort))

    def _by_keys(self, where: sql.Composed, ordered: sql.Composed) -> sql.Composed:
        """Return the rows of a page through a subquery for their keys: an index alone can skip the rows before it."""
        key = self.table.key or self.facts.primary_key
        columns = SQL(", ").join(map(column_of, key))
        same = [SQL("{} = {}").format(column_of(one), sql.Identifier("k", one)) for one in key]
        return SQL("(SELECT {} FROM {} AS t WHERE {} {}) AS k JOIN {} AS t ON {}").format(
            columns, self._relation(), where, ordered, self._relation(), SQL(" AND ").join(same)
        )

    def _blocks(self, filters: Sequence[Filter], sort: str | None, *, descending: bool, start: Start) -> list[Block]:
        """Return the rows after the start: in several blocks where no index has all of them in this order."""
        where, nullable = self._where(filters), self.order(sort).nullable
        after = PageStart(len(filters) + 1, start, descending)
        divided = indexed_shares(self.table, self.facts, sort)
        if divided is None:
            return after.blocks(where, self._order(sort), nullable=nullable)
        return [
            block
            for share in divided
            # A text that is NULL is in the second share; ascending, nothing of the first one follows it.
            if share.rest or start != "null" or descending
            for block in after.blocks(
                SQL("{} AND {}").format(where, share.condition(column_of(share.column))),
                self._order(sort, share),
                nullable=nullable and share.rest,
            )
        ]

    def _summary(
        self, filters: tuple[Filter, ...], group: tuple[str, Bucket | None] | None, *, rolled: bool = True
    ) -> Statement[Row]:
        """Return the statement of a summary: the totals first, then the groups sorted by key.

        It reads the roll-up if that can answer, unless `rolled` is false.
        """
        text = self.summary_text(filters, group, rolled=rolled)
        return Statement(f"summarize {self.table.name}", text, Row, parameters=len(filters))

    def summary_text(
        self, filters: Sequence[Filter], group: tuple[str, Bucket | None] | None, *, rolled: bool
    ) -> sql.Composed:
        """Return the query of `summary`."""
        if rolled and self.rollup is not None and self.rollup.answers(filters, group):
            by = None if group is None else DAY if group[0] == self.rollup.moment else self.table.column_of(group[0])
            where = self._rolled_where(filters)
            source = rolled_source(self.rollup, self.facts, self._rolled_key(group), by, where)
            count: Composable = SQL("coalesce(sum({}), 0)::bigint").format(sql.Identifier(ROWS))
            sums = {figure.name: of_rollup(figure) for figure in self.rollup.figures}
        else:
            source, count, sums = self._row_source(filters, group), SQL("count(*)"), {}
        results: list[Composable] = [SQL("key"), SQL("{} AS count").format(count)]
        for place, (name, column) in enumerate(self._measured()):
            of = sums.get(name) or of_rows(sql.Identifier(f"raw{place}"), sql.Identifier(f"exact{place}"))
            results.extend(measures(name, column, self._facts_of(name), of))
        most = self.table.summary.max_groups if self.table.summary else 0
        # Two more rows: one for the totals, and one group that shows whether groups are left out.
        return SQL(
            "SELECT {} FROM ({}) AS r GROUP BY GROUPING SETS ((key), ()) ORDER BY grouping(key) DESC, key LIMIT {}"
        ).format(SQL(", ").join(results), source, sql.Literal(most + 2))

    def _row_source(self, filters: Sequence[Filter], group: tuple[str, Bucket | None] | None) -> sql.Composed:
        key: Composable = SQL("'all'::text")
        if group is not None:
            key = bucketed(self._reference(group[0]), self._facts_of(group[0]), group[1], self.table.timezone)
        sources = [SQL('{} COLLATE "C" AS key').format(key)]
        for place, (name, _) in enumerate(self._measured()):
            shown, summed = sql.Identifier(f"raw{place}"), sql.Identifier(f"exact{place}")
            sources.append(SQL("{} AS {}").format(number(self._reference(name), self._facts_of(name)), shown))
            sources.append(SQL("{} AS {}").format(exact(self._reference(name), self._facts_of(name)), summed))
        return SQL("SELECT {} FROM {} AS t WHERE {}").format(
            SQL(", ").join(sources), self._relation(), self._where(filters)
        )

    def _rolled_key(self, group: tuple[str, Bucket | None] | None) -> Composable:
        if group is None:
            return SQL("'all'::text")
        if self.rollup is not None and group[0] == self.rollup.moment:
            return day_key(self._facts_of(group[0]), group[1], self.table.timezone)
        return bucketed(self._reference(group[0]), self._facts_of(group[0]), None, self.table.timezone)

    def _rolled_where(self, filters: Sequence[Filter]) -> sql.Composed:
        conditions = [
            SQL("{} {} {}::date").format(column_of(DAY), SQL(_OPERATORS[how]), placeholder(number))
            if how != "equals"
            else self._condition((name, how), placeholder(number))
            for number, (name, how) in enumerate(filters, 1)
        ]
        return SQL(" AND ").join(conditions) if conditions else SQL("true").format()

    def _measured(self) -> list[tuple[str, Column]]:
        return [(name, column) for name, column in self.table.columns.items() if column.measures]

    def _relation(self) -> sql.Identifier:
        return sql.Identifier(self.facts.schema, self.facts.name)

    def _facts_of(self, name: str) -> ColumnFacts:
        return self.facts.columns[self.table.column_of(name)]

    def _sort_facts(self, sort: str) -> ColumnFacts:
        return self.facts.columns[self.table.sort_column_of(sort)]

    def _reference(self, name: str) -> sql.Identifier:
        return column_of(self.table.column_of(name))

    def _as_text(self, name: str) -> sql.Composed:
        return SQL("{}::text").format(self._reference(name))

    def _columns(self, sort: str | None) -> sql.Composed:
        """Return the columns that a page needs: those shown, the sort column, the key and the tenant."""
        names = [*map(self.table.column_of, self.table.columns), *([self.table.sort_column_of(sort)] if sort else [])]
        compared = [self._compared] if self._compared is not None else []
        return SQL(", ").join(map(column_of, dict.fromkeys([*names, *self.key, *compared])))

    def _order(self, sort: str | None, share: Share | None = None) -> list[Composable]:
        """Return the expressions that rows are ordered by: the sort value, then the key, which makes it unique."""
        keys: Sequence[OrderKey] = (
            ordering(self.table, self.facts, sort)
            if share is None
            else share_ordering(self.table, self.facts, sort, share)
        )
        return [one.expression(column_of(one.column)) for one in keys]

    def _positions(self, sort: str | None) -> list[tuple[Composable, ColumnFacts | None]]:
        """Return the parts of a row's position, each with the facts of its column, or None if it already is text."""
        return [
            _position(one.value(column_of(one.column)), self.facts.columns[one.column])
            for one in ordering(self.table, self.facts, sort)
        ]

    def _rewritten(self) -> list[str]:
        """Return the integer columns whose numbers PostgreSQL may write in a form that answers do not use."""
        return [
            name
            for name, column in self.table.columns.items()
            if column.type == "integer" and self._facts_of(name).base not in _INTEGERS
        ]

    def _shown(self, name: str) -> Composable:
        column = self.table.columns[name]
        if column.type == "text" and column.values and not column.max_length:
            # A value from a declared list is not cut.
            return self._reference(name) if self._facts_of(name).base == "text" else self._as_text(name)
        characters = column.max_length or TEXT_CHARACTERS
        return shown(self._reference(name), column.type, self._facts_of(name), characters)

    def _where(self, filters: Sequence[Filter]) -> sql.Composed:
        """Return only the conditions that the caller gave, so that an index can be used."""
        conditions = [self._condition(one, placeholder(number)) for number, one in enumerate(filters, 1)]
        return SQL(" AND ").join(conditions) if conditions else SQL("true").format()

    def _condition(self, asked: Filter, value: Composable) -> sql.Composed:
        name, comparison = asked
        column, facts, reference = self.table.columns[name], self._facts_of(name), self._reference(name)
        if comparison == "contains":
            # Not LIKE, in which % and _ are wildcards.
            text = reference if facts.base == "text" else self._as_text(name)
            case = self.facts.letter_case
            return SQL("position({} in {}) > 0").format(folded(SQL("{}::text").format(value), case), folded(text, case))
        operator = SQL(_OPERATORS[comparison])
        if comparison == "equals" and column.type == "timestamp":
            zoned = facts.base == "timestamp with time zone"
            form = SQL("{} = {}::timestamptz") if zoned else SQL("{} = ({}::timestamptz AT TIME ZONE 'UTC')")
            return form.format(reference, value)
        if column.type == "decimal":
            reference = number(reference, facts)
        if facts.kind == "e":
            # As text: then a label that the enum does not have gives no rows instead of an error.
            return SQL("{}::text {} {}").format(reference, operator, value)
        return SQL("{} {} {}").format(reference, operator, _typed(value, column, facts, self.table.timezone))


_OPERATORS: Final[dict[Comparison, LiteralString]] = {
    "equals": "=",
    "from": ">=",
    "before": "<",
    "at_least": ">=",
    "at_most": "<=",
}


def _is_leaky(facts: ColumnFacts) -> bool:
    return facts.base == "numeric" or facts.kind == "e"


_INTEGERS: Final = frozenset({"smallint", "integer", "bigint"})


def _position(reference: Composable, facts: ColumnFacts) -> tuple[Composable, ColumnFacts | None]:
    # array_agg cannot collect arrays of different lengths, so arrays become text first.
    return (position_of(reference, facts), None) if facts.base.endswith("[]") else (reference, facts)


def _exact(reference: sql.Composed, facts: ColumnFacts | None) -> sql.Composed:
    return reference if facts is None else SQL("{}").format(position_of(reference, facts))


def _typed(value: Composable, column: Column, facts: ColumnFacts, zone: str) -> Composable:  # noqa: PLR0911  # one return per type
    """Return a placeholder cast to the column's kind of type, so that an index can be used and no value overflows."""
    match column.type:
        case "timestamp" if facts.base == "timestamp with time zone":
            return SQL("({}::timestamp AT TIME ZONE {})").format(value, sql.Literal(zone))
        case "timestamp":
            return SQL("{}::timestamp").format(value)
        case "date":
            return SQL("{}::date").format(value)
        case "integer":
            return SQL("{}::bigint").format(value)
        case "decimal" if facts.base in {"real", "double precision"}:
            return SQL("{}::float8").format(value)
        case "decimal":
            return SQL("{}::numeric").format(value)
        case _:
            # An untyped parameter takes the type of the column: an enum, a uuid, a varchar.
            return value
