"""Pages of a child and a grandchild, which have no tenant column, beside pages of their parent, which has one.

The statements are those that the server compiles, run as its login with signed contexts, without HTTP. The tables are
asked in turn, so that a noisy moment hits each alike; the medians of the rounds count.
"""

import json
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any, Final

import psycopg
from rich.console import Console
from rich.table import Table as Printed
from shop import ITEMS, ORDERS, PARENTS, TABLES, prepare_shop

from server.catalog.compile import CompiledTable
from server.catalog.facts import read_facts
from server.database.context_keys import CONTEXT_LIFETIME_S, ContextKey
from server.database.statement import Statement
from server.dev.folder import folder_lock
from server.dev.postgres.launcher import EmbeddedPostgres
from server.dev.preparation import development_key

TARGET_FEW: Final = 3.0
TARGET_OWN: Final = 1.5
_PAGE: Final = 20
_PARENT: Final = "shop.orders"
_TWINS: Final = {"shop.items": "shop.own_items", "shop.events": "shop.own_events"}
_FEWEST: Final = "tenant-20"


class Reader:
    """The server's login on one connection, set up as those of the server's pool."""

    def __init__(self, url: str, key: ContextKey) -> None:
        """Connect, and compile the statement of each table's first page."""
        self.connection: Final = psycopg.connect(
            url, autocommit=True, prepare_threshold=0, cursor_factory=psycopg.RawCursor
        )
        self._key: Final = key
        facts = read_facts(self.connection, TABLES)
        self._pages: Final = {
            name: CompiledTable(table, facts[name]).listing((), "placed_at", descending=True, start="beginning")
            for name, table in TABLES.items()
        }

    def page(self, name: str, tenant: str) -> tuple[float, list[dict[str, Any]]]:
        """Return how long a page took, in milliseconds, and its rows: one more than is shown, as the server reads."""
        statement = self._pages[name]
        context = self._context(statement, tenant)
        began = time.perf_counter()
        row = self.connection.execute(statement.sent, (_PAGE + 1, context), prepare=True).fetchall()[0]
        took_ms = (time.perf_counter() - began) * 1000
        assert row[0] == tenant
        return took_ms, json.loads(row[1])

    def _context(self, statement: Statement[Any], tenant: str) -> str:
        expiry_s = int(time.time()) + CONTEXT_LIFETIME_S
        person = ("https://issuer.example", "bench")
        return self._key.sign(person=person, tenant=tenant, tier="", expiry_s=expiry_s, digest=statement.digest)


def measured(directory: Path, say: Any, rounds: int, seconds: float) -> dict[str, Any]:
    """Return the medians in milliseconds and the ratios to the parent's page, by tenant and table."""
    with ExitStack() as stack:
        stack.enter_context(folder_lock(directory))
        postgres = stack.enter_context(EmbeddedPostgres(directory / "postgres"))
        key = development_key(directory / "context.key")
        reader = Reader(prepare_shop(postgres, key, say), key)
        stack.callback(reader.connection.close)
        for tenant in PARENTS:
            _check(reader, tenant)
        took: dict[str, list[dict[str, dict[str, float]]]] = {tenant: [] for tenant in PARENTS}
        for number in range(rounds):
            for tenant, parents in PARENTS.items():
                say(f"round {number + 1} of {rounds}: a tenant with {parents:,} orders")
                took[tenant].append(_round(reader, tenant, seconds))
    return {
        "rows": {"orders": ORDERS, "items": ITEMS, "events": ITEMS},
        **{
            key: {
                tenant: {name: round(median(one[name][key] for one in took[tenant]), 3) for name in TABLES}
                for tenant in PARENTS
            }
            for key in ("ms", "ratio")
        },
    }


def _check(reader: Reader, tenant: str) -> None:
    """See that pages are whole and right: a child and its twin hold the same rows."""
    for name in TABLES:
        _, rows = reader.page(name, tenant)
        expected = min(_PAGE + 1, PARENTS[tenant] * (1 if name == _PARENT else 3))
        assert len(rows) == expected, f"{name}: {len(rows)} rows for {tenant}"
        if name in _TWINS:
            assert rows == reader.page(_TWINS[name], tenant)[1], f"{name} and its twin differ for {tenant}"


def _round(reader: Reader, tenant: str, seconds: float) -> dict[str, dict[str, float]]:
    """Return milliseconds and ratio of each table, the quick ones apart: a slow one empties the caches."""
    found: dict[str, dict[str, float]] = {}
    for group in (tuple(_TWINS), tuple(_TWINS.values())):
        took: dict[str, list[float]] = {name: [] for name in (_PARENT, *group)}
        end = time.monotonic() + seconds / 2
        while time.monotonic() < end:
            for name, several in took.items():
                several.append(reader.page(name, tenant)[0])
        parent_ms = median(took[_PARENT])
        found |= {name: {"ms": median(several), "ratio": median(several) / parent_ms} for name, several in took.items()}
    return found


def show(result: dict[str, Any], console: Console) -> None:
    """Print the table; plain text when piped."""
    table = Printed("page of 20 of", *(f"{parents:,} parents" for parents in PARENTS.values()), "at most")
    for name in TABLES:
        cells = [f"{result['ms'][tenant][name]:.2f} ms, {result['ratio'][tenant][name]:.2f}" for tenant in PARENTS]
        most = f"{TARGET_OWN}" if name in _TWINS.values() else f"{TARGET_FEW} with 20 parents"
        table.add_row(name, *cells, "1" if name == _PARENT else most)
    console.print(table)
    console.print(f"Times in milliseconds, and their ratio to a page of {_PARENT} for the same tenant.")


def is_met(result: dict[str, Any]) -> bool:
    """Whether few parents cost little, and an own column costs what the parent's does for every tenant."""
    ratios = result["ratio"]
    few = [ratios[_FEWEST][name] <= TARGET_FEW for name in _TWINS]
    own = [ratios[tenant][name] <= TARGET_OWN for tenant in PARENTS for name in _TWINS.values()]
    return all((*few, *own))
