"""Declared sorts without a fitting index or a sure order: notices only, because isolation does not depend on them."""

from collections.abc import Iterable, Iterator, Mapping

from server.catalog.declarations import Table
from server.catalog.facts import RelationFacts
from server.catalog.ordering import slow_orders, unserved_orders


def order_notices(tables: Iterable[Table], facts: Mapping[str, RelationFacts]) -> Iterator[str]:
    """Yield a sentence for each declared table whose sorts have no index, a slow one, or perhaps another order."""
    for table in tables:
        own = facts[table.name]
        if orders := unserved_orders(table, own):
            yield (
                f"{table.name}: no index has its rows in the order of {_names(orders)}, so that each page sorts all "
                f"rows of its tenant; `tenantgate tools sql {table.name}` prints one"
            )
        if orders := slow_orders(table, own):
            yield (
                f"{table.name}: the index in the order of {_names(orders)} cannot find a later page, which reads all "
                f"rows before it; `tenantgate tools sql {table.name}` prints two that can"
            )
        yield from _free_orders(table, own)


def _free_orders(table: Table, own: RelationFacts) -> Iterator[str]:
    """Yield a sentence for each sort_by whose values do not follow from the row: they may have another order."""
    for name, column in table.columns.items():
        found = own.columns.get(column.sort_by or "")
        if found is not None and own.kind != "v" and not found.generated:
            yield (
                f"{table.name}: {found.name}, by which {name} is sorted, is not a generated column, so it may have "
                "another order; make it GENERATED ALWAYS AS (…) STORED"
            )


def _names(orders: list[str | None]) -> str:
    return ", ".join(name or "its key" for name in orders)
