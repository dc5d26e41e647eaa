"""Three databases that other applications made are served by a TOML file each, and every answer is the model's."""

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
import pytest
from foreign.arguments import random_filters, random_group, random_order
from foreign.comparison import Comparison, shown_first
from foreign.database import ForeignDatabase, foreign_database
from foreign.model import ordered
from foreign.schema import FOLDER, NAMES, ForeignRows, ForeignSchema, identifier
from foreign.serving import Serving, serving
from foreign.superuser import Superuser
from foreign.totals import group_choices, totals
from foreign.words import Chance
from psycopg import sql

from server.catalog.declarations import CatalogFile
from server.dev.stack import Stack

MISTAKES = {
    one["name"]: one for one in tomllib.loads((FOLDER / "mistakes.toml").read_text(encoding="utf-8"))["mistake"]
}


@dataclass(frozen=True)
class Foreign:
    """One foreign schema, in its database, served."""

    schema: ForeignSchema
    database: ForeignDatabase
    rows: ForeignRows
    serving: Serving

    def comparison(self, tenant: str, seed: int) -> Comparison:
        return Comparison(self.serving.client(tenant).answer, tenant, Chance(seed))


@pytest.fixture(scope="module", params=NAMES)
def foreign(stack: Stack, request: pytest.FixtureRequest) -> Iterator[Foreign]:
    schema = ForeignSchema(request.param)
    with (
        foreign_database(stack, schema) as (database, rows),
        serving(stack, database.settings, schema.scopes) as served,
    ):
        yield Foreign(schema, database, rows, served)


@pytest.mark.parametrize("name", NAMES)
def test_the_declaration_is_toml_that_the_models_accept(name: str) -> None:
    declaration = CatalogFile.model_validate(ForeignSchema(name).declaration)
    tools = [tool for table in declaration.table for tool in (table.list, table.summary)]
    assert all(tools)
    assert declaration.tool


def test_the_doctor_finds_nothing_on_a_protected_database(foreign: Foreign) -> None:
    assert foreign.database.offenders() == {}


def test_the_model_sorts_and_adds_up_as_plain_queries_of_a_superuser_do(foreign: Foreign) -> None:
    with foreign.database.administrator() as connection:
        for relation in foreign.schema.tables:
            table = foreign.rows.of(foreign.schema.tenants[0], relation)
            queries = Superuser(connection, relation, table)
            for name, column in table.columns.items():
                if column.get("sort"):
                    arguments = {"sort": name, "descending": True}
                    rows = ordered(table, arguments, datetime.now(UTC).date())
                    assert [tuple(row[one] for one in table.key) for row in rows] == queries.keys_by(name), name
                for measure in {"total", "average"} & {*column.get("measures", ())}:
                    answered = totals(table, table.rows)[f"{measure}_{name}"]
                    assert float(answered) == pytest.approx(queries.measured(name, measure), nan_ok=True), name


def test_every_order_of_every_listing_shows_each_row_once_on_pages_of_any_size(foreign: Foreign) -> None:
    differences = []
    for number, tenant in enumerate(foreign.schema.tenants):
        comparison = foreign.comparison(tenant, number)
        for relation in foreign.schema.tables:
            table = foreign.rows.of(tenant, relation)
            comparison.list_all(table, {})
            for name, column in table.columns.items():
                for descending in (True, False) if column.get("sort") else ():
                    comparison.list_all(table, {"sort": name, "descending": descending}, [1, 2, 3, 7, 20])
        differences += comparison.differences
    assert not differences, shown_first(differences)


@pytest.mark.parametrize("calls", [40, pytest.param(3_000, marks=pytest.mark.slow)])
def test_random_filters_find_what_the_model_finds(foreign: Foreign, calls: int) -> None:
    differences = []
    for number, tenant in enumerate(foreign.schema.tenants):
        comparison = foreign.comparison(tenant, 100 + number)
        for relation in foreign.schema.tables:
            table = foreign.rows.of(tenant, relation)
            while comparison.calls < calls:
                comparison.list_all(
                    table,
                    random_filters(comparison.chance, table) | random_order(comparison.chance, table),
                    [7, 20, 100],
                )
                comparison.summarize(
                    table, random_filters(comparison.chance, table) | random_group(comparison.chance, table)
                )
            comparison.calls = 0
        differences += comparison.differences
    assert not differences, shown_first(differences)


def test_every_grouping_of_every_summary_is_what_the_model_counts(foreign: Foreign) -> None:
    differences = []
    for number, tenant in enumerate(foreign.schema.tenants):
        comparison = foreign.comparison(tenant, 200 + number)
        for relation in foreign.schema.tables:
            table = foreign.rows.of(tenant, relation)
            comparison.summarize(table, {})
            for group in group_choices(table):
                comparison.summarize(table, {"group_by": group})
        differences += comparison.differences
    assert not differences, shown_first(differences)


def test_a_statement_of_the_operator_joins_and_adds_up_one_tenants_rows(foreign: Foreign) -> None:
    differences = []
    for number, tenant in enumerate(foreign.schema.tenants):
        comparison = foreign.comparison(tenant, 300 + number)
        tables = foreign.rows.tables_of(tenant)
        for declared in foreign.schema.declaration["tool"]:
            for _ in range(12):
                arguments = foreign.schema.program.sql_arguments(comparison.chance)
                rows = foreign.schema.program.SQL_TOOLS[declared["name"]](tables, arguments)
                comparison.run_sql(declared, arguments, rows)
        differences += comparison.differences
    assert not differences, shown_first(differences)


@pytest.mark.parametrize("foreign", NAMES[:1], indirect=True)
@pytest.mark.parametrize(
    "payload", [r'{"a": "\u0000"}', r'["\ud800"]', '{"a": 1, "a": 2}', "1e400", '"' + "x" * 30_000 + '"']
)
def test_json_that_other_programs_cannot_read_does_not_end_the_page(foreign: Foreign, payload: str) -> None:
    tenant = foreign.schema.tenants[-1]
    number = sql.Literal(tenant).as_string()
    columns, values = "id, account_id, number, status, payload", f"gen_random_uuid(), {number}, 'N-1', 'Paid'"
    order = f"INSERT INTO shop.orders ({columns}) VALUES ({values}, "
    with foreign.database.broken(
        f"{order} {sql.Literal(payload).as_string()})", f"DELETE FROM shop.orders WHERE account_id = {number}"
    ):
        answer = foreign.serving.client(tenant).answer("query_orders", {})
    assert [one["number"] for one in answer["orders"]] == ["N-1"]


def test_another_spelling_of_a_tenant_is_the_same_tenant(foreign: Foreign) -> None:
    differences = []
    for spelling, tenant in foreign.schema.program.SPELLINGS.items():
        comparison = Comparison(foreign.serving.client(spelling).answer, spelling, Chance(1))
        for relation in foreign.schema.tables:
            comparison.list_all(foreign.rows.of(tenant, relation), {})
        differences += comparison.differences
    assert not differences, shown_first(differences)


@pytest.mark.parametrize("foreign", NAMES[1:2], indirect=True)
def test_a_tenant_that_is_a_number_in_the_token_is_the_same_tenant(foreign: Foreign) -> None:
    comparison = Comparison(
        foreign.serving.client("7", tenant_id=7, **{"custom:tenant_id": None}).answer, "7", Chance(1)
    )
    for relation in foreign.schema.tables:
        comparison.list_all(foreign.rows.of("7", relation), {})
    assert not comparison.differences, shown_first(comparison.differences)


def test_the_login_reads_nothing_but_what_is_declared(foreign: Foreign) -> None:
    """Undeclared columns, whole rows, and tables of the same name in other schemas are refused."""
    refused = {
        "shop": ["SELECT card_number FROM shop.orders", "TABLE shop.orders", "SELECT id FROM shop_archive.orders"],
        "metering": ["SELECT value FROM metering.readings_rest", "SELECT value FROM staging.readings"],
        "crm": ["SELECT commission FROM crm.deals", 'SELECT email FROM "Import"."Contacts"'],
    }[foreign.schema.name]
    with foreign.database.login() as connection:
        for statement in refused:
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())


def test_the_application_reads_all_rows_as_before(foreign: Foreign) -> None:
    (login,) = foreign.schema.program.LOGINS
    with foreign.database.administrator() as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(login)))
        for relation in foreign.schema.tables:
            query = sql.SQL("SELECT count(*) FROM {}").format(identifier(relation))
            ((seen,),) = connection.execute(query).fetchall()
            assert seen == len(foreign.rows.rows[relation])


# The very names of NAMES: pytest makes a fixture anew for another object, even an equal one.
@pytest.mark.parametrize(
    ("foreign", "name"),
    [(NAMES[NAMES.index(one["schema"])], name) for name, one in MISTAKES.items()],
    indirect=["foreign"],
)
def test_each_mistake_is_found_and_its_remedy_is_enough(foreign: Foreign, name: str) -> None:
    mistake = MISTAKES[name]
    with foreign.database.broken(mistake["mistake"], mistake["remedy"]):
        found = foreign.database.offenders()
    named = [f"{one} {problem}".replace('"', "") for one, problems in found.items() for problem in problems]
    assert any(mistake["object"] in one for one in named), named
    assert foreign.database.offenders() == {}
