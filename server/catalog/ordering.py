"""The order of a listing: the keys that its statements sort by, and the index that has the rows in that order."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from psycopg import sql

from server.catalog.declarations import Table, Through
from server.catalog.facts import ColumnFacts, IndexedKey, RelationFacts

_CODE: Final = 'pg_catalog."C"'


@dataclass(frozen=True, slots=True)
class OrderKey:
    """One value that rows are ordered by: a column or its first `characters`; with `by_code`, by code points."""

    column: str
    characters: int | None = None
    by_code: bool = False

    def value(self, reference: sql.Composable) -> sql.Composable:
        """Return the expression of the value without a collation; `reference` is the column."""
        if self.characters is None:
            return reference
        return sql.SQL("left({}, {})").format(reference, sql.Literal(self.characters))

    def expression(self, reference: sql.Composable) -> sql.Composable:
        """Return the expression for ORDER BY, for comparisons and for an index."""
        value = self.value(reference)
        return sql.SQL('{} COLLATE "C"').format(value) if self.by_code else value

    def is_first(self, indexed: IndexedKey, facts: ColumnFacts) -> bool:
        """Whether the key `indexed` of an index is this one."""
        text = facts.quoted if self.characters is None else f'"left"({_as_text(facts)}, {self.characters})'
        return (indexed.text, indexed.collation) == (text, _CODE if self.by_code else facts.collation)


@dataclass(frozen=True, slots=True)
class Share:
    """The rows of a partial index: those whose text has at most `characters`, or with `rest` all others and NULL."""

    column: str
    characters: int
    rest: bool

    def condition(self, reference: sql.Composable) -> sql.Composed:
        """Return the condition of the index, which a statement repeats so that PostgreSQL uses it."""
        short = sql.SQL("char_length({}) <= {}").format(reference, sql.Literal(self.characters))
        return sql.SQL("({}) IS NOT TRUE").format(short) if self.rest else short

    def is_of(self, condition: str, facts: ColumnFacts) -> bool:
        """Whether an index with this condition, as PostgreSQL writes it, has these rows."""
        short = f"(char_length({_as_text(facts)}) <= {self.characters})"
        return condition == (f"({short} IS NOT TRUE)" if self.rest else short)


@dataclass(frozen=True, slots=True)
class OrderIndex:
    """An index that gives a tenant's rows in an order; without `share` it has all rows.

    `beside` is a column that it has beside its keys: a declared number that is added up, where rows are sorted by
    another column. Then totals are read from the index alone, as from an index by the number itself.
    """

    keys: tuple[OrderKey, ...]
    share: Share | None = None
    beside: str | None = None


def _as_text(facts: ColumnFacts) -> str:
    return facts.quoted if facts.base == "text" and not facts.is_domain else f"({facts.quoted})::text"


def key_of(table: Table, own: RelationFacts) -> tuple[str, ...]:
    """Return the columns of the key that distinguish rows of one tenant."""
    # Within one tenant, the tenant column is the same in every row. Without it, an index can provide the order.
    return tuple(column for column in table.key or own.primary_key if column != table.tenant_column)


def ordering(table: Table, own: RelationFacts, sort: str | None) -> tuple[OrderKey, ...]:
    """Return the keys that rows are ordered by: the sort value, if any, then the key, which makes the order unique."""
    key = key_of(table, own)
    if sort is None:
        return tuple(_of_key(own, column) for column in key)
    column = table.columns[sort]
    name = table.sort_column_of(sort)
    facts = own.columns[name]
    # Only the shown part of a text is compared, because the size of a cursor is limited.
    is_cut = column.type == "text" and bool(column.max_length) and facts.kind != "e" and column.sort_by is None
    if is_cut and most_characters(facts) <= (column.max_length or 0):
        # The text is never cut. An index compares a plain column itself, but not the result of left().
        is_cut = False
    first = OrderKey(name, column.max_length if is_cut else None, _is_ordered_otherwise(facts))
    return (first, *(_of_key(own, one) for one in key if is_cut or one != name))


def most_characters(facts: ColumnFacts) -> float:
    """Return how many characters a value may have by its type, or infinity."""
    limited = re.fullmatch(r"character varying\((\d+)\)", facts.type)
    return int(limited[1]) if limited else inf


def _of_key(own: RelationFacts, column: str) -> OrderKey:
    return OrderKey(column, None, _is_ordered_otherwise(own.columns[column]))


def _is_ordered_otherwise(facts: ColumnFacts) -> bool:
    """Whether the column's collation orders texts in another way than by code points, which is the same everywhere."""
    return bool(facts.collation) and not facts.code_order


def declared_orders(table: Table) -> Iterator[str | None]:
    """Yield each column that a listing can be sorted by, and None when its default order is its key."""
    if table.list is not None:
        if table.list.sort is None:
            yield None
        yield from (name for name, column in table.columns.items() if column.sort)


def index_keys(table: Table, own: RelationFacts, sort: str | None) -> tuple[OrderKey, ...]:
    """Return the keys of an index that gives a tenant's rows in this order, in both directions."""
    return _behind_tenant(table, ordering(table, own, sort))


def order_index(table: Table, own: RelationFacts, sort: str | None) -> OrderIndex:
    """Return the index of all rows in this order."""
    column = table.columns[sort] if sort else None
    beside = table.column_of(sort) if sort and column and column.sort_by and column.measures else None
    return OrderIndex(index_keys(table, own, sort), beside=beside)


def _behind_tenant(table: Table, order: Sequence[OrderKey]) -> tuple[OrderKey, ...]:
    tenant = table.tenant_column
    keys = tuple(one for one in order if one.column != tenant)
    return (OrderKey(tenant), *keys) if tenant else keys


def shares(table: Table, own: RelationFacts, sort: str | None) -> tuple[Share, Share] | None:
    """Return the two shares that make deep pages quick in an order by a text that may be cut; None for other orders.

    PostgreSQL compares left() only after the policy, row by row, but a whole text by the index. Where no text is cut,
    both orders are the same: so the rows whose text is short have an index by the whole text, and few others remain.
    """
    first = ordering(table, own, sort)[0] if sort else None
    if first is None or first.characters is None or first.column in key_of(table, own):
        return None
    facts = own.columns[first.column]
    if facts.base not in {"text", "character varying"} or facts.is_domain:
        return None
    return Share(first.column, first.characters, rest=False), Share(first.column, first.characters, rest=True)


def share_ordering(table: Table, own: RelationFacts, sort: str | None, share: Share) -> tuple[OrderKey, ...]:
    """Return the keys that the rows of a share are ordered by: the whole text if it is short."""
    first, *key = ordering(table, own, sort)
    return (first if share.rest else OrderKey(first.column, None, first.by_code), *key)


def order_indexes(table: Table, own: RelationFacts, sort: str | None) -> list[OrderIndex]:
    """Return the indexes to propose for an order: one, or one for each share."""
    divided = shares(table, own, sort)
    if divided is None:
        return [order_index(table, own, sort)]
    return [OrderIndex(_behind_tenant(table, share_ordering(table, own, sort, one)), one) for one in divided]


def indexed_shares(table: Table, own: RelationFacts, sort: str | None) -> tuple[Share, Share] | None:
    """Return the shares of an order if the database has an index for each of them."""
    divided = shares(table, own, sort)
    if divided is None or not all(_has(table, own, one) for one in order_indexes(table, own, sort)):
        return None
    return divided


def _has(table: Table, own: RelationFacts, wanted: OrderIndex) -> bool:
    share, first = wanted.share, 1 if table.tenant_column else 0
    return share is not None and any(
        share.is_of(condition, own.columns[share.column]) and _serves(own, index, wanted.keys, first)
        for condition, index in own.partial_orders
    )


def is_complete(table: Table, own: RelationFacts) -> bool:
    """Whether the relation has every declared column, and a key."""
    key = table.key or own.primary_key
    return bool(key) and own.columns.keys() >= {*key, *table.read_columns}


def unserved_orders(table: Table, own: RelationFacts) -> list[str | None]:
    """Return the declared orders without an index: such a page sorts all rows of its tenant.

    The list is empty for a view, because its tables have the indexes, and for a child table: a tenant has many parent
    rows, and no index has the children of all of them in one order.
    """
    if own.kind not in {"r", "p"} or isinstance(table.tenant, Through) or not is_complete(table, own):
        return []
    return [sort for sort in declared_orders(table) if not _is_served(table, own, sort)]


def slow_orders(table: Table, own: RelationFacts) -> list[str | None]:
    """Return the declared orders whose index serves first pages alone: by left(), which cannot find a later page."""
    if own.kind not in {"r", "p"} or isinstance(table.tenant, Through) or not is_complete(table, own):
        return []
    unserved = unserved_orders(table, own)
    return [
        sort
        for sort in declared_orders(table)
        if sort not in unserved and shares(table, own, sort) and not indexed_shares(table, own, sort)
    ]


def _is_served(table: Table, own: RelationFacts, sort: str | None) -> bool:
    if indexed_shares(table, own, sort) is not None:
        return True
    # The tenant column has the same value in all these rows, so its direction does not matter.
    first = 1 if table.tenant_column else 0
    return any(_serves(own, index, index_keys(table, own, sort), first) for index in own.orders)


def _serves(own: RelationFacts, index: Sequence[IndexedKey], keys: Sequence[OrderKey], first: int) -> bool:
    """Whether an index begins with the keys in one direction, or with enough of them to be unique."""
    shared = min(len(index), len(keys))
    if shared < len(keys) and tuple(one.column for one in keys[:shared]) not in own.keys:
        return False
    # Ascending with NULLs last, or descending with NULLs first: each is the other read backwards.
    options = {one.option for one in index[first:shared]}
    return (len(options) <= 1 and options <= {0, 3}) and all(
        key.is_first(one, own.columns[key.column]) for one, key in zip(index, keys, strict=False)
    )
