"""Declared sorts without a fitting index: these give notices only, because isolation does not depend on them."""

from collections.abc import Iterator

from server.catalog.ordering import slow_orders, unserved_orders
from server.doctor.declared import Declared


def order_notices(declared: Declared) -> Iterator[str]:
    """Yield a sentence for each declared table that has sorts without an index, or with one that is slow."""
    for table in declared.isolable:
        own = declared.facts[table.name]
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


def _names(orders: list[str | None]) -> str:
    return ", ".join(name or "its key" for name in orders)
