"""Declarations made by chance, over tables made by chance, answer what the model says of the same rows."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from foreign.arguments import random_filters, random_group, random_order
from foreign.comparison import Comparison, shown_first
from foreign.database import ForeignDatabase, adopt, database_of_its_own
from foreign.kinds import TYPES
from foreign.model import DeclaredTable
from foreign.schema import identifier, read_kinds, read_rows
from foreign.serving import Serving, serving
from foreign.totals import group_choices
from foreign.values import Kind
from foreign.wide import TENANTS, WideTable, toml_of, wide_tables
from foreign.words import Chance
from psycopg.sql import SQL

from server.dev.stack import Stack

SEEDS = [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 10))]


@dataclass(frozen=True)
class Generated:
    """The tables of one seed, served, with all their rows as a superuser reads them."""

    tables: dict[str, WideTable]
    database: ForeignDatabase
    kinds: dict[str, dict[str, Kind]]
    rows: dict[str, list[dict[str, Any]]]
    serving: Serving
    seed: int

    def of(self, tenant: str, name: str) -> DeclaredTable:
        """Return a table with the rows that a tenant may see."""
        declared = self.tables[name].declaration
        rows = [row for row in self.rows[name] if self._is_seen(tenant, name, row)]
        return DeclaredTable(declared, self.kinds[name], declared["key"], rows)

    def _is_seen(self, tenant: str, name: str, row: dict[str, Any]) -> bool:
        owner = self.tables[name].declaration["tenant"]
        if owner == "tenant":
            return row["tenant"] == tenant
        parents = (one for one in self.rows[owner["parent"]] if one["id"] == row["parent_id"])
        return any(self._is_seen(tenant, owner["parent"], one) for one in parents)


@pytest.fixture(scope="module", params=SEEDS)
def generated(
    stack: Stack, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Generated]:
    seed: int = request.param
    tables = wide_tables(Chance(seed), 16, 75)
    file: Path = tmp_path_factory.mktemp("wide") / "wide.toml"
    file.write_text(toml_of(tables), encoding="utf-8")
    with database_of_its_own(stack, "generated", [file], "text") as database:
        with database.administrator() as connection:
            connection.execute(TYPES)
            for one in tables:
                connection.execute(one.sql.encode())
                insert = SQL("INSERT INTO {0} SELECT * FROM json_populate_recordset(NULL::{0}, %s)")
                connection.execute(insert.format(identifier(one.name)), (json.dumps(one.rows),))
        adopt(database, TENANTS)
        with database.administrator() as connection:
            kinds = {one.name: read_kinds(connection, one.name) for one in tables}
            rows = {one.name: read_rows(connection, one.name, kinds[one.name]) for one in tables}
        with serving(stack, database.settings, database.catalog.scopes) as served:
            yield Generated({one.name: one for one in tables}, database, kinds, rows, served, seed)


def test_the_doctor_finds_nothing_on_generated_tables(generated: Generated) -> None:
    assert generated.database.offenders() == {}


def test_generated_listings_show_each_row_once_in_every_order(generated: Generated) -> None:
    differences = []
    for tenant in TENANTS[-2:]:
        comparison = Comparison(generated.serving.client(tenant).answer, tenant, Chance(generated.seed))
        for name in generated.tables:
            table = generated.of(tenant, name)
            comparison.list_all(table, {})
            for column in [one for one, said in table.columns.items() if said.get("sort")]:
                for descending in (True, False):
                    comparison.list_all(table, {"sort": column, "descending": descending}, [1, 3, 7, 20])
        differences += comparison.differences
    assert not differences, shown_first(differences)


def test_generated_filters_and_groups_find_what_the_model_finds(generated: Generated) -> None:
    differences = []
    for tenant in TENANTS:
        comparison = Comparison(generated.serving.client(tenant).answer, tenant, Chance(generated.seed + 1))
        for name in generated.tables:
            table = generated.of(tenant, name)
            for _ in range(5):
                filters = random_filters(comparison.chance, table, 0.25)
                comparison.list_all(table, filters | random_order(comparison.chance, table), [20, 50])
                filters = random_filters(comparison.chance, table, 0.25)
                comparison.summarize(table, filters | random_group(comparison.chance, table))
            for group in group_choices(table):
                comparison.summarize(table, {"group_by": group})
        differences += comparison.differences
    assert not differences, shown_first(differences)
