"""What PostgreSQL shows of each form of policy is what the doctor compares with, on real servers of two versions."""

from collections.abc import Iterator
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg import sql
from support.second_server import MISSING, PROGRAMS, second_server

from server.administration.migrations import migrate
from server.catalog.declarations import Table
from server.catalog.facts import read_facts
from server.catalog.policies import collapsed, expected_text, expression, problems
from server.dev.stack import Stack
from server.errors import StartupError

DOMAINS = {
    "d_text": "text CHECK (VALUE <> '')",
    "d_varchar": "varchar(10)",
    "d_of_domain": "texts.d_varchar",
    "d_uuid": "uuid",
    "d_smallint": "smallint",
    "d_integer": "integer CHECK (VALUE > 0)",
    "d_of_integer": "texts.d_integer",
    "d_bigint": "bigint",
}
FAMILIES = {
    "text": [
        "text",
        "varchar",
        "varchar(3)",
        'text COLLATE "C"',
        "texts.d_text",
        "texts.d_varchar",
        "texts.d_of_domain",
    ],
    "uuid": ["uuid", "texts.d_uuid"],
    "integer": ["smallint", "integer", "bigint", *(f"texts.d_{name}" for name in ("smallint", "of_integer", "bigint"))],
}
REFUSED = {
    "char(5)": "character",
    "any case": "nondeterministic collation",
    "numeric": "numeric",
    "name": "name",
    "boolean": "boolean",
    "text[]": "text[]",
    "texts.mood": "texts.mood",
    '"char"': '"char"',
}


@pytest.fixture(scope="module")
def newest(stack: Stack) -> Iterator[str]:
    with psycopg.connect(stack.admin_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE policy_texts")
    yield urlsplit(stack.admin_url)._replace(path="/policy_texts").geturl()
    with psycopg.connect(stack.admin_url, autocommit=True) as connection:
        connection.execute("DROP DATABASE policy_texts WITH (FORCE)")


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if PROGRAMS is None:
        pytest.skip(MISSING)
    with second_server(tmp_path_factory.mktemp("second") / "postgres") as url:
        yield url


@pytest.fixture(scope="module", params=["newest", "oldest"])
def database(request: pytest.FixtureRequest) -> Iterator[psycopg.Connection[Any]]:
    url = request.getfixturevalue(request.param)
    migrate(url, lambda _step: None)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA texts")
        connection.execute("CREATE TYPE texts.mood AS ENUM ('sad', 'merry')")
        for name, base in DOMAINS.items():
            connection.execute(f"CREATE DOMAIN texts.{name} AS {base}".encode())
    with psycopg.connect(url, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
        yield connection


@pytest.fixture
def server(database: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """A connection whose work is undone, with the settings under which texts are compared."""
    with database.transaction(force_rollback=True):
        database.execute("SET LOCAL search_path = pg_catalog")
        database.execute("SET LOCAL quote_all_identifiers = off")
        yield database


def declared(name: str, **said) -> Table:
    return Table.model_validate({"name": name, "scope": "s:read", "columns": {"any": {"type": "text"}}, **said})


def create(server, name: str, columns: str) -> None:
    server.execute(f"CREATE TABLE {sql.Identifier(*name.split('.')).as_string()} ({columns})".encode())


def shown(server, table: Table, *others: str) -> tuple[str, str]:
    """Create the policy; return the text that PostgreSQL shows of it and the one that is expected."""
    facts = read_facts(server, [table.name, *others])
    name = sql.Identifier(*table.name.split("."))
    server.execute(sql.SQL("CREATE POLICY reads ON {} USING ({})").format(name, expression(table, facts)))
    text = "SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = $1::regclass"
    return collapsed(server.execute(text, (name.as_string(),)).fetchall()[0][0]), expected_text(table, facts)


@pytest.mark.parametrize("column", [one for family in FAMILIES.values() for one in family])
def test_the_text_of_an_own_column_is_foreseen_for_every_type(server, column) -> None:
    create(server, "texts.orders", f"account {column}")
    found, expected = shown(server, declared("texts.orders", tenant="account"))
    assert found == expected


@pytest.mark.parametrize(
    ("foreign", "key"), [pair for family in FAMILIES.values() for pair in product(family, repeat=2)]
)
def test_the_text_of_a_child_is_foreseen_for_every_pair_of_types(server, foreign, key) -> None:
    create(server, "texts.orders", f"id {key} PRIMARY KEY")
    create(server, "texts.items", f"order_id {foreign}")
    table = declared("texts.items", tenant={"through": "order_id", "parent": "texts.orders"})
    found, expected = shown(server, table, "texts.orders")
    assert found == expected
    assert "ARRAY( SELECT p.id FROM texts.orders p)" in found


def test_the_text_of_a_shared_table_is_foreseen(server) -> None:
    create(server, "texts.kinds", "id int")
    found, expected = shown(server, declared("texts.kinds", shared=True))
    assert found == expected == "(( SELECT tenancy.current_tenant() AS current_tenant) IS NOT NULL)"


NAMES = [
    "plain",
    "Mixed Case",
    "two  spaces",
    'with "quotes"',
    "select",
    "json_table",
    "p",
    "p_1",
    "a$b",
    "größe",
    "1st",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("schema", ["texts", "Other schema"])
def test_every_name_is_quoted_as_the_server_quotes_it(server, schema, name) -> None:
    column, parent, child = name, f"{schema}.{name}", f"texts.{name}" if schema != "texts" else f"{schema}.{name} items"
    if schema != "texts":
        server.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    quoted = sql.Identifier(column).as_string()
    create(server, parent, f"{quoted} int PRIMARY KEY, tenant text")
    create(server, child, f"{quoted} int")
    found, expected = shown(server, declared(child, tenant={"through": column, "parent": parent}), parent)
    assert found == expected


def test_every_keyword_of_the_server_is_quoted_as_the_server_does(server) -> None:
    words = [row[0] for row in server.execute("SELECT word FROM pg_get_keywords()").fetchall()]
    create(server, "texts.words", ", ".join(f'"{word}" text' for word in words))
    facts = read_facts(server, ["texts.words"])
    tables = {word: declared("texts.words", tenant=word) for word in words}
    for word, table in tables.items():
        policy = sql.SQL("CREATE POLICY {} ON texts.words USING ({})")
        server.execute(policy.format(sql.Identifier(word), expression(table, facts)))
    shown = "SELECT polname, pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = 'texts.words'::regclass"
    assert dict(server.execute(shown).fetchall()) == {
        word: expected_text(table, facts) for word, table in tables.items()
    }


def test_a_child_called_as_the_alias_reads_its_parent_and_not_itself(server) -> None:
    create(server, "texts.orders", "id int PRIMARY KEY")
    create(server, "texts.p", "id int, order_id int")
    table = declared("texts.p", tenant={"through": "order_id", "parent": "texts.orders"})
    found, expected = shown(server, table, "texts.orders")
    assert found == expected == "(order_id = ANY (ARRAY( SELECT p_1.id FROM texts.orders p_1)))"


def test_a_child_follows_the_key_that_is_declared(server) -> None:
    create(server, "texts.orders", "id int PRIMARY KEY, number text NOT NULL UNIQUE")
    create(server, "texts.items", "order_number text")
    way = {"through": "order_number", "parent": "texts.orders", "key": "number"}
    found, expected = shown(server, declared("texts.items", tenant=way), "texts.orders")
    assert found == expected == "(order_number = ANY (ARRAY( SELECT p.number FROM texts.orders p)))"


@pytest.mark.parametrize("column", REFUSED)
def test_a_column_that_is_not_compared_exactly_is_refused_by_name_and_type(server, column) -> None:
    kind = "text COLLATE texts.any_case" if column == "any case" else column
    if column == "any case":
        level = "provider = icu, locale = 'und-u-ks-level2', deterministic = false"
        try:
            server.execute(f"CREATE COLLATION texts.any_case ({level})".encode())
        except psycopg.errors.FeatureNotSupported:
            pytest.skip("this server was built without ICU")
    create(server, "texts.orders", f"account {kind}")
    create(server, "texts.items", "order_id text")
    table = declared("texts.orders", tenant="account")
    facts = read_facts(server, ["texts.orders"])
    (problem,) = problems([table], facts)
    assert problem.startswith("texts.orders: its tenant column account ")
    assert REFUSED[column] in problem
    assert "; change it to " in problem or "; give it " in problem
    for refusing in (expression, expected_text):
        with pytest.raises(StartupError, match="account"):
            refusing(table, facts)


def test_extensions_bring_no_type_that_is_accepted(server) -> None:
    if not server.execute("SELECT 1 FROM pg_available_extensions WHERE name = 'citext'").fetchall():
        pytest.skip("this server has no citext")
    server.execute("CREATE EXTENSION citext SCHEMA texts")
    create(server, "texts.orders", "account texts.citext")
    (problem,) = problems([declared("texts.orders", tenant="account")], read_facts(server, ["texts.orders"]))
    assert "is texts.citext" in problem


def test_only_the_id_type_of_the_column_is_accepted(server) -> None:
    create(server, "texts.orders", "account uuid PRIMARY KEY")
    create(server, "texts.bills", "account int PRIMARY KEY")
    create(server, "texts.notes", "account text PRIMARY KEY")
    tables = [declared(f"texts.{name}", tenant="account") for name in ("orders", "bills", "notes")]
    facts = read_facts(server, [table.name for table in tables])
    assert problems(tables, facts) == []
    (problem,) = problems(tables, facts, "uuid")
    assert problem == (
        'texts.bills: its tenant column account is integer, and tenancy.id_type is "uuid"; '
        'set tenancy.id_type = "integer"'
    )
    assert [one.split(":")[0] for one in problems(tables, facts, "text")] == ["texts.orders", "texts.bills"]


def through(parent: str, **key) -> dict[str, str]:
    return {"through": "fk", "parent": f"texts.{parent}", **key}


WRONG_IN_THE_DATABASE = {
    "no such table or view": ("", {"tenant": "account"}),
    "cannot have row level security": (
        "CREATE MATERIALIZED VIEW texts.x AS SELECT 1 AS account",
        {"tenant": "account"},
    ),
    "it has no column account": ("CREATE TABLE texts.x (other int)", {"tenant": "account"}),
    "no index begins with account": ("CREATE TABLE texts.x (account int)", {"tenant": "account"}),
    "index begins with account,": (
        "CREATE TABLE texts.x (account int, b int, PRIMARY KEY (b, account))",
        {"tenant": "account"},
    ),
    "no index begins with account, so": (
        "CREATE TABLE texts.x (account int); CREATE INDEX ON texts.x (account) WHERE account > 1",
        {"tenant": "account"},
    ),
    "it has no column fk": ("CREATE TABLE texts.x (other int)", {"tenant": through("good")}),
    "no index begins with fk": ("CREATE TABLE texts.x (fk int)", {"tenant": through("good")}),
    "no column none": ("CREATE TABLE texts.x (fk int PRIMARY KEY)", {"tenant": through("good", key="none")}),
    "not unique": ("CREATE TABLE texts.x (fk int PRIMARY KEY)", {"tenant": through("good", key="free")}),
    "no primary key of one column": ("CREATE TABLE texts.x (fk int PRIMARY KEY)", {"tenant": through("composite")}),
    "is not a table": ("CREATE TABLE texts.x (fk int PRIMARY KEY)", {"tenant": through("seen")}),
    "cannot be compared": ("CREATE TABLE texts.x (fk text PRIMARY KEY)", {"tenant": through("good")}),
    "its key between parent and child fk is numeric": (
        "CREATE TABLE texts.x (fk numeric PRIMARY KEY)",
        {"tenant": through("good")},
    ),
    "different collations": (
        'CREATE TABLE texts.x (fk text COLLATE "C" PRIMARY KEY)',
        {"tenant": through("good", key="posix")},
    ),
    "the view reads texts.hidden, which is not declared": (
        "CREATE TABLE texts.hidden (account int); CREATE VIEW texts.x AS SELECT account FROM texts.hidden",
        {"tenant": "account"},
    ),
}


@pytest.mark.parametrize("sentence", WRONG_IN_THE_DATABASE)
def test_a_declaration_that_differs_from_the_database_is_named_with_its_remedy(server, sentence) -> None:
    text, said = WRONG_IN_THE_DATABASE[sentence]
    create(
        server, "texts.good", 'id int PRIMARY KEY, account int, free int, posix text COLLATE "POSIX" NOT NULL UNIQUE'
    )
    create(server, "texts.composite", "id int, account int, PRIMARY KEY (account, id)")
    server.execute(
        b"CREATE INDEX ON texts.good (account); CREATE VIEW texts.seen AS SELECT id, account FROM texts.good"
    )
    server.execute(text.encode() or b"SELECT")
    parents = [declared(f"texts.{name}", tenant="account") for name in ("good", "composite", "seen")]
    tables = [declared("texts.x", **said), *parents]
    (problem,) = problems(tables, read_facts(server, [table.name for table in tables]))
    assert problem.startswith("texts.")
    assert sentence in problem
    assert "; " in problem


def test_a_partitioned_table_is_found_by_the_column_of_its_partitions(server) -> None:
    server.execute("CREATE TABLE texts.x (account int, b int) PARTITION BY HASH (account, b)")
    table = declared("texts.x", tenant="account")
    assert problems([table], read_facts(server, ["texts.x"])) == []


def test_an_index_that_does_not_serve_equality_does_not_count(server) -> None:
    server.execute(b"CREATE TABLE texts.x (account int); CREATE INDEX ON texts.x USING brin (account)")
    (problem,) = problems([declared("texts.x", tenant="account")], read_facts(server, ["texts.x"]))
    assert "no index begins with account" in problem


def test_a_nullable_or_deferrable_key_is_not_taken_for_unique(server) -> None:
    create(server, "texts.orders", "account int PRIMARY KEY, a int UNIQUE, b int NOT NULL UNIQUE DEFERRABLE")
    create(server, "texts.items", "fk int PRIMARY KEY")
    orders = declared("texts.orders", tenant="account")
    for key in ("a", "b"):
        items = declared("texts.items", tenant=through("orders", key=key))
        (problem,) = problems([orders, items], read_facts(server, ["texts.orders", "texts.items"]))
        assert "not unique and not null" in problem


ORDERS = {"tenant": "account"}
WRONG_AS_DECLARED = {
    "is not declared": {"texts.x": {"tenant": through("none")}},
    "is shared": {"texts.kinds": {"shared": True}, "texts.x": {"tenant": through("kinds")}},
    "form a cycle (texts.x → texts.x)": {"texts.x": {"tenant": through("x")}},
    "must have either tenant or shared": {"texts.x": {}},
    "or shared = true for": {"texts.x": {"shared": True, "tenant": "account"}},
}


@pytest.mark.parametrize("sentence", WRONG_AS_DECLARED)
def test_parents_that_do_not_end_in_a_tenant_column_are_refused_without_a_database(sentence) -> None:
    (problem,) = problems(declared(name, **said) for name, said in WRONG_AS_DECLARED[sentence].items())
    assert sentence in problem


def test_a_cycle_is_refused_for_each_member_and_each_table_that_leads_into_it() -> None:
    ways = {"a": "b", "b": "c", "c": "b"}
    found = problems(declared(f"texts.{name}", tenant=through(parent)) for name, parent in ways.items())
    assert [one.split(":")[0] for one in found] == ["texts.a", "texts.b", "texts.c"]
    assert "(texts.a → texts.b → texts.c → texts.b)" in found[0]


def test_a_table_of_two_parents_is_refused() -> None:
    orders, bills = (declared(f"texts.{name}", tenant="account") for name in ("orders", "bills"))
    notes = [
        declared("texts.notes", tenant={"through": f"{name}_id", "parent": f"texts.{name}s"})
        for name in ("order", "bill")
    ]
    (problem,) = problems([orders, bills, *notes])
    assert problem.startswith("texts.notes: it is declared more than once")


def test_a_broken_parent_is_reported_once() -> None:
    tables = [declared("texts.items", tenant=through("orders")), declared("texts.parts", tenant=through("items"))]
    assert problems(tables) == [
        "texts.items: its parent texts.orders is not declared; declare it, so that its rows are limited too"
    ]
