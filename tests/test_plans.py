"""PostgreSQL plans the statements that are sent again and again a few times, and then keeps the plan."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from server.catalog.compile import CompiledTable
from server.catalog.facts import read_facts
from server.catalog.loading import load_catalog
from server.database.database import Database
from server.database.statement import Principal, Statement
from server.dev.stack import Stack
from server.tenancy.registry import _FIND

# PostgreSQL plans each of its first five executions for its values (plan_cache_mode, section 19.7.4).
FIRST = 5
CALLS = 12
ROWS = """
INSERT INTO app.claims
  (tenant_id, claim_number, customer_name, claim_amount, status, line_of_business, filed_at, description)
SELECT $1, 'CLM-' || n, 'Customer ' || n % 500, n % 9000, 'open', 'auto', now() - n * interval '1 hour', 'x'
FROM generate_series(1, $2) AS n
"""


@pytest.fixture(scope="module", autouse=True)
def _rows(stack: Stack) -> Iterator[None]:
    """A tenant with nearly all rows and one with a few, so that a plan for the one would not suit the other."""
    with psycopg.connect(stack.admin_url, autocommit=True, cursor_factory=psycopg.RawCursor) as admin:
        for tenant, rows in (("plan-large", 20_000), ("plan-small", 20)):
            admin.execute("INSERT INTO tenancy.tenants (tenant_id, name) VALUES ($1, $1)", (tenant,))
            admin.execute(ROWS, (tenant, rows))
        admin.execute("ANALYZE app.claims")
        yield
        admin.execute("DELETE FROM app.claims WHERE tenant_id LIKE 'plan-%'")
        admin.execute("DELETE FROM tenancy.tenants WHERE tenant_id LIKE 'plan-%'")
        admin.execute("VACUUM ANALYZE app.claims")


@pytest.fixture(scope="module")
def table(stack: Stack) -> CompiledTable:
    declared = load_catalog(["sample"]).tables["app.claims"]
    url = stack.settings.database.url.get_secret_value()
    with psycopg.connect(url, cursor_factory=psycopg.RawCursor) as connection:
        return CompiledTable(declared, read_facts(connection, [declared.name])[declared.name])


def page(table: CompiledTable, *filters: Any, sort: str = "filed_at", start: Any = "beginning") -> Statement[Any]:
    return table.listing(filters, sort, descending=True, start=start)


NUMBER, STATUS = ("claim_number", "equals"), ("status", "equals")
AFTER = ("2100-01-01 00:00:00+00", "1")
Made = Callable[[CompiledTable], Statement[Any]]
HOT: dict[str, tuple[Made, tuple[Any, ...]]] = {
    "first page": (page, (21,)),
    "next page": (lambda table: page(table, start="value"), (*AFTER, 21)),
    "look-up by number": (lambda table: page(table, NUMBER), ("CLM-7", 21)),
    "by status": (lambda table: page(table, STATUS), ("open", 21)),
    "by amount": (lambda table: page(table, sort="amount"), (21,)),
    "summary": (lambda table: table.summary((), None), ()),
    "summary by month": (lambda table: table.summary((), ("filed_at", "month")), ()),
    "tenant of a person": (lambda _table: _FIND, ("https://issuer.test", "nobody", "plan-small", 100)),
}


@pytest.mark.parametrize("tenant", ["plan-large", "plan-small"])
@pytest.mark.parametrize("name", HOT)
def test_a_statement_that_is_sent_again_and_again_is_not_planned_again(stack, table, name, tenant) -> None:
    make, values = HOT[name]
    statement = make(table)

    async def plans() -> tuple[bytes | None, ...] | None:
        database = Database(stack.settings.database.model_copy(update={"pool_size": 1}))
        database.proved = True
        await database.open()
        try:
            for _ in range(CALLS):
                await database.fetch(statement, values, Principal(stack.addresses.issuer, "nobody", tenant, None))
            text = b"SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE statement = $1"
            return await database._pool.run(text, (statement.text,), None)
        finally:
            await database.close()

    assert asyncio.run(plans()) == (b"%d" % (CALLS - FIRST), b"%d" % FIRST)


@pytest.mark.parametrize("name", ["first page", "next page", "look-up by number"])
def test_the_plan_that_is_kept_reads_no_more_than_its_page(login: psycopg.Connection, table, name) -> None:
    """It serves every tenant: it comes from the index in the order of the page, and sorts nothing."""
    statement = HOT[name][0](table)
    plan = "\n".join(line for (line,) in login.execute(f"EXPLAIN (GENERIC_PLAN) {statement.text}".encode()).fetchall())
    assert "Index Scan" in plan, plan
    assert "Seq Scan on claims" not in plan, plan
    if name != "look-up by number":
        assert "Sort" not in plan, plan
