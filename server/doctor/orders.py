"""Declared sorts without an index: these give notices only, because isolation does not depend on them."""

from collections.abc import Iterator

from server.catalog.ordering import unserved_orders
from server.doctor.declared import Declared


def order_notices(declared: Declared) -> Iterator[str]:
    """Yield one sentence for each declared table that has sorts without an index."""
    for table in declared.isolable:
        orders = unserved_orders(table, declared.facts[table.name])
        if orders:
            said = ", ".join(name or "its key" for name in orders)
            yield (
                f"{table.name}: no index has its rows in the order of {said}, so that each page sorts all rows of its "
                f"tenant; `tenantgate tools sql {table.name}` prints one"
            )
