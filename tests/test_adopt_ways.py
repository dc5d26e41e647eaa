"""The tenant of a table is found by the named column or by foreign keys, and never guessed."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from server.adoption.relations import read_database
from server.adoption.request import parse_request
from server.adoption.ways import Own, Parent, Shared, Undecided, find_ways
from server.dev.stack import Stack

BASE = """
CREATE TABLE app.accounts (id int PRIMARY KEY, name text);
CREATE TABLE app.orders (id int PRIMARY KEY, account_id int NOT NULL REFERENCES app.accounts);
"""


@pytest.fixture(scope="module")
def connection(stack: Stack) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(stack.admin_url, autocommit=True) as superuser:
        superuser.execute("CREATE DATABASE ways")
        try:
            url = urlsplit(stack.admin_url)._replace(path="/ways").geturl()
            with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
                yield connection
        finally:
            superuser.execute("DROP DATABASE ways WITH (FORCE)")


@pytest.fixture
def ways(connection: psycopg.Connection[Any]) -> Callable[..., dict[str, Own | Parent | Shared | Undecided]]:
    """Return a function: SQL that makes tables in the schema app, and options, to the way of each table."""

    def find(text: str, *columns: str, **options):
        with connection.transaction(force_rollback=True):
            connection.execute("CREATE SCHEMA app")
            connection.execute(text.encode())
            connection.execute("SET LOCAL search_path = pg_catalog")
            request = parse_request(columns or ["account_id"], **options)
            found = find_ways(read_database(connection), request)
        return {name.removeprefix("app."): way for name, way in found.items()}

    return find


def test_a_table_with_the_named_column_is_decided(ways) -> None:
    assert ways(BASE)["orders"] == Own("account_id", "column account_id")


def test_the_tenants_own_table_is_the_one_that_the_named_columns_refer_to(ways) -> None:
    assert ways(BASE)["accounts"] == Own("id", "column id: it is the table of the tenants")


def test_no_tenants_table_is_guessed_where_the_named_columns_refer_to_two(ways) -> None:
    found = ways(
        BASE + "CREATE TABLE app.others (id int PRIMARY KEY);"
        "CREATE TABLE app.notes (id int PRIMARY KEY, account_id int REFERENCES app.others)"
    )
    assert isinstance(found["accounts"], Undecided)
    assert isinstance(found["others"], Undecided)
    assert found["notes"] == Own("account_id", "column account_id")


def test_a_reference_over_another_table_leads_to_the_tenants_own_table_too(ways) -> None:
    found = ways(
        "CREATE TABLE app.accounts (id int PRIMARY KEY);"
        "CREATE TABLE app.profiles (account_id int PRIMARY KEY REFERENCES app.accounts);"
        "CREATE TABLE app.cards (id int PRIMARY KEY, issuer int REFERENCES app.profiles)"
    )
    assert found["accounts"].column == "id"
    assert found["cards"] == Own("issuer", "column issuer, which refers to the table of the tenants")


def test_a_child_is_found_through_foreign_keys_of_any_length(ways) -> None:
    found = ways(
        BASE + "CREATE TABLE app.items (id int PRIMARY KEY, order_id int NOT NULL REFERENCES app.orders);"
        "CREATE TABLE app.parts (id int PRIMARY KEY, item_id int REFERENCES app.items);"
        "CREATE TABLE app.bits (id int PRIMARY KEY, part_id int REFERENCES app.parts)"
    )
    assert found["items"] == Parent("order_id", "app.orders", "id")
    assert found["parts"] == Parent("item_id", "app.items", "id")
    assert found["bits"] == Parent("part_id", "app.parts", "id")


def test_the_shortest_path_to_a_tenant_is_taken(ways) -> None:
    found = ways(
        BASE + "CREATE TABLE app.items (id int PRIMARY KEY, order_id int NOT NULL REFERENCES app.orders);"
        "CREATE TABLE app.parts (id int PRIMARY KEY, item_id int REFERENCES app.items, order_id int"
        " REFERENCES app.orders)"
    )
    assert found["parts"] == Parent("order_id", "app.orders", "id")


def test_equally_short_paths_are_reported_and_not_guessed(ways) -> None:
    text = BASE + (
        "CREATE TABLE app.carts (id int PRIMARY KEY, account_id int NOT NULL);"
        "CREATE TABLE app.items (id int PRIMARY KEY, order_id int NOT NULL REFERENCES app.orders,"
        " cart_id int NOT NULL REFERENCES app.carts);"
        "CREATE TABLE app.parts (id int PRIMARY KEY, item_id int NOT NULL REFERENCES app.items)"
    )
    found = ways(text)
    assert found["items"].reason == "2 paths to a tenant are equally short: cart_id → app.carts; order_id → app.orders"
    assert [way.through for way in found["items"].ways] == ["cart_id", "order_id"]
    # No longer way is tried for what lies behind it.
    assert found["parts"] == Undecided("its tenant comes from app.items (through item_id), which is not decided")


def test_a_person_decides_by_the_column_that_refers_to_the_parent(ways) -> None:
    text = BASE + (
        "CREATE TABLE app.carts (id int PRIMARY KEY, account_id int NOT NULL);"
        "CREATE TABLE app.items (id int PRIMARY KEY, order_id int NOT NULL REFERENCES app.orders,"
        " cart_id int NOT NULL REFERENCES app.carts);"
        "CREATE TABLE app.parts (id int PRIMARY KEY, item_id int NOT NULL REFERENCES app.items)"
    )
    found = ways(text, "account_id", "cart_id:app.items")
    assert found["items"] == Parent("cart_id", "app.carts", "id")
    assert found["parts"] == Parent("item_id", "app.items", "id")


def test_a_person_decides_by_the_column_that_holds_the_tenant(ways) -> None:
    text = BASE + (
        "CREATE TABLE app.loans (id int PRIMARY KEY, lender int REFERENCES app.accounts, borrower int"
        " REFERENCES app.accounts);"
        "CREATE TABLE app.plain (id int PRIMARY KEY, owner text)"
    )
    found = ways(text, "account_id", "lender:app.loans", "owner:app.plain")
    assert found["loans"] == Own("lender", "column lender, as --tenant-column says")
    assert found["plain"] == Own("owner", "column owner, as --tenant-column says")


@pytest.mark.parametrize(
    ("columns", "both"),
    [
        ("sender int REFERENCES app.accounts, receiver int REFERENCES app.accounts", "sender and receiver"),
        ("account_id int, guarantor int REFERENCES app.accounts", "account_id and guarantor"),
    ],
)
def test_a_table_with_two_tenants_in_one_row_is_undecided(ways, columns, both) -> None:
    found = ways(f"{BASE}CREATE TABLE app.loans (id int PRIMARY KEY, {columns})")
    assert found["loans"].reason == f"one row has two tenants: {both} each hold one"


def test_two_named_columns_in_one_table_are_two_tenants(ways) -> None:
    found = ways("CREATE TABLE app.x (id int, account_id int, org_id int)", "account_id", "org_id")
    assert found["x"].reason == "one row has two tenants: account_id and org_id each hold one"


def test_a_table_without_a_path_to_a_tenant_is_undecided_and_never_shared(ways) -> None:
    found = ways(f"{BASE}CREATE TABLE app.jobs (id int PRIMARY KEY)")
    assert found["jobs"].reason == (
        "it has no column account_id, and no foreign key leads from it to a table with a tenant"
    )


def test_a_table_is_shared_only_when_a_person_says_so(ways) -> None:
    text = (
        BASE + "CREATE TABLE app.countries (code text PRIMARY KEY);"
        "CREATE TABLE app.cities (id int PRIMARY KEY, country text REFERENCES app.countries)"
    )
    found = ways(text, shared=["app.countries"])
    assert found["countries"] == Shared()
    # What refers to a shared table is not shared with it.
    assert isinstance(found["cities"], Undecided)


def test_a_reference_to_itself_is_not_a_path_to_a_tenant(ways) -> None:
    found = ways(
        BASE + "CREATE TABLE app.tree (id int PRIMARY KEY, parent_id int REFERENCES app.tree);"
        "ALTER TABLE app.accounts ADD parent_id int REFERENCES app.accounts;"
        "CREATE TABLE app.folders (id int PRIMARY KEY, account_id int, parent_id int REFERENCES app.folders)"
    )
    assert isinstance(found["tree"], Undecided)
    assert found["accounts"].column == "id"
    assert found["folders"].column == "account_id"


def test_tables_that_refer_to_each_other_are_found_from_the_one_nearer_to_a_tenant(ways) -> None:
    found = ways(
        BASE + "CREATE TABLE app.drafts (id int PRIMARY KEY, order_id int REFERENCES app.orders, latest int);"
        "CREATE TABLE app.versions (id int PRIMARY KEY, draft_id int REFERENCES app.drafts);"
        "ALTER TABLE app.drafts ADD FOREIGN KEY (latest) REFERENCES app.versions"
    )
    assert found["drafts"] == Parent("order_id", "app.orders", "id")
    assert found["versions"] == Parent("draft_id", "app.drafts", "id")


def test_a_foreign_key_of_several_columns_is_not_a_path_to_a_tenant(ways) -> None:
    found = ways(
        "CREATE TABLE app.orders (id int, version int, account_id int, PRIMARY KEY (id, version));"
        "CREATE TABLE app.items (id int PRIMARY KEY, order_id int, version int,"
        " FOREIGN KEY (order_id, version) REFERENCES app.orders)"
    )
    assert found["items"].reason.startswith("only the foreign key (order_id, version) leads to app.orders")


def test_a_foreign_key_that_holds_the_tenant_beside_another_column_is_a_tenant_column(ways) -> None:
    found = ways(
        BASE + "ALTER TABLE app.orders ADD UNIQUE (account_id, id);"
        "CREATE TABLE app.items (id int PRIMARY KEY, owner int, order_id int,"
        " FOREIGN KEY (owner, order_id) REFERENCES app.orders (account_id, id))"
    )
    assert found["items"] == Own("owner", "column owner, which refers to the table of the tenants")


def test_partitions_and_inheritance_children_are_read_through_their_table(ways) -> None:
    found = ways(
        "CREATE TABLE app.events (id int, account_id int) PARTITION BY LIST (account_id);"
        "CREATE TABLE app.events_1 PARTITION OF app.events DEFAULT;"
        "CREATE TABLE app.old (id int, account_id int); CREATE TABLE app.older () INHERITS (app.old)"
    )
    assert sorted(found) == ["events", "old"]


def test_the_key_of_a_parent_can_be_another_than_its_primary_key(ways) -> None:
    found = ways(
        BASE + "ALTER TABLE app.orders ADD number text NOT NULL UNIQUE;"
        "CREATE TABLE app.items (id int PRIMARY KEY, order_number text REFERENCES app.orders (number))"
    )
    assert found["items"] == Parent("order_number", "app.orders", "number")
