"""A foreign schema in a database of its own: made by its owner, declared in TOML, read by a superuser for the model."""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Final, LiteralString, cast

import psycopg
from foreign.model import DeclaredTable
from foreign.values import Kind
from psycopg import sql

FOLDER: Final = Path(__file__).parent
NAMES: Final = ("shop", "metering", "crm")
# Texts that mean the same whatever the settings of the database are.
_SETTINGS: Final = "SET timezone = 'UTC'; SET datestyle = 'ISO'; SET extra_float_digits = 1"
# The type under a domain, and under a domain of a domain.
_COLUMNS: Final = """
WITH RECURSIVE under (name, place, type, modifier) AS (
  SELECT attname, attnum, atttypid, atttypmod FROM pg_attribute
  WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
  UNION ALL
  SELECT name, place, t.typbasetype, t.typtypmod FROM under JOIN pg_type t ON t.oid = type AND t.typtype = 'd'
)
SELECT name, CASE WHEN t.typelem <> 0 AND t.typlen = -1 THEN 'array' ELSE t.typname END,
       CASE WHEN t.typname = 'numeric' AND modifier > 0 THEN (modifier - 4) & 2047 END,
       ARRAY(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder)
FROM under JOIN pg_type t ON t.oid = type AND t.typtype <> 'd' ORDER BY place
"""
_KEY: Final = """
SELECT a.attname FROM pg_index i, unnest(i.indkey) WITH ORDINALITY AS k (number, place)
JOIN pg_attribute a ON a.attnum = k.number
WHERE i.indrelid = %s::regclass AND i.indisprimary AND a.attrelid = i.indrelid ORDER BY k.place
"""


def identifier(relation: str) -> sql.Identifier:
    """Return schema.table as SQL."""
    return sql.Identifier(*relation.split("."))


@dataclass(frozen=True)
class ForeignSchema:
    """One of the schemas, by name."""

    name: str

    @property
    def file(self) -> Path:
        """The declaration."""
        return FOLDER / f"{self.name}.toml"

    @cached_property
    def program(self) -> ModuleType:
        """The generator of the rows."""
        return import_module(f"foreign.{self.name}")

    @cached_property
    def declaration(self) -> dict[str, Any]:
        """The declaration, as TOML has it."""
        return tomllib.loads(self.file.read_text(encoding="utf-8"))

    @property
    def tables(self) -> dict[str, dict[str, Any]]:
        """The declared tables by schema.table."""
        return {one["name"]: one for one in self.declaration["table"]}

    @property
    def tenants(self) -> tuple[str, ...]:
        """The tenants, in the one spelling that the database has."""
        return tuple(self.program.TENANTS)

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of all tools."""
        entries = (*self.declaration["table"], *self.declaration["tool"])
        return tuple(sorted({one["scope"] for one in entries}))

    def create(self, connection: psycopg.Connection[Any]) -> None:
        """Make roles, schemas, tables and rows."""
        text = (FOLDER / f"{self.name}.sql").read_text(encoding="utf-8")
        connection.execute(cast("LiteralString", text))
        for relation, rows in self.program.rows().items():
            insert = sql.SQL("INSERT INTO {0} SELECT * FROM json_populate_recordset(NULL::{0}, %s)")
            connection.execute(insert.format(identifier(relation)), (json.dumps(rows),))

    def remove_roles(self, connection: psycopg.Connection[Any]) -> None:
        """Remove the roles, once the database is gone."""
        for role in (self.program.OWNER, *self.program.LOGINS):
            connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))

    def read(self, connection: psycopg.Connection[Any]) -> "ForeignRows":
        """Read all rows and types, as a superuser."""
        views: Mapping[str, Any] = getattr(self.program, "VIEWS", {})
        kinds = {relation: read_kinds(connection, relation) for relation in self.tables}
        rows = {one: read_rows(connection, one, kinds[one]) for one in self.tables if one not in views}
        rows |= {relation: view(rows) for relation, view in views.items()}
        keys = {
            relation: declared.get("key") or _key(connection, relation) for relation, declared in self.tables.items()
        }
        return ForeignRows(self, kinds, keys, rows)


@dataclass(frozen=True)
class ForeignRows:
    """The types, the keys and all rows of the declared tables, whosever they are; values are texts."""

    schema: ForeignSchema
    kinds: Mapping[str, Mapping[str, Kind]]
    keys: Mapping[str, list[str]]
    rows: Mapping[str, list[dict[str, Any]]]

    def of(self, tenant: str, relation: str) -> DeclaredTable:
        """Return a declared table with the rows that a tenant may see."""
        rows = [row for row in self.rows[relation] if self._is_seen(tenant, relation, row)]
        return DeclaredTable(self.schema.tables[relation], self.kinds[relation], self.keys[relation], rows)

    def tables_of(self, tenant: str) -> dict[str, list[dict[str, Any]]]:
        """Return the rows that a tenant may see of every declared table."""
        return {relation: [dict(row) for row in self.of(tenant, relation).rows] for relation in self.rows}

    def _is_seen(self, tenant: str, relation: str, row: Mapping[str, Any]) -> bool:
        """Whether a row is the tenant's: by its own column, by the parent that it names, or everybody's."""
        declared = self.schema.tables[relation]
        if declared.get("shared"):
            return True
        if isinstance(declared["tenant"], str):
            return row[declared["tenant"]] == tenant
        parent, foreign_key = declared["tenant"]["parent"], row[declared["tenant"]["through"]]
        (key,) = self.keys[parent]
        return any(
            one[key] == foreign_key and self._is_seen(tenant, parent, one)
            for one in self.rows[parent]
            if foreign_key is not None
        )


def read_kinds(connection: psycopg.Connection[Any], relation: str) -> dict[str, Kind]:
    """Return the type of every column of a relation."""
    found = connection.execute(_COLUMNS, (identifier(relation).as_string(connection),)).fetchall()
    return {name: Kind(kind, scale, tuple(labels)) for name, kind, scale, labels in found}


def _key(connection: psycopg.Connection[Any], relation: str) -> list[str]:
    return [name for (name,) in connection.execute(_KEY, (identifier(relation).as_string(connection),)).fetchall()]


def read_rows(connection: psycopg.Connection[Any], relation: str, kinds: Mapping[str, Kind]) -> list[dict[str, Any]]:
    """Return every row of a relation, as a superuser reads it; values are texts."""
    connection.execute(_SETTINGS)
    casts = {"array": "{}::text[]", "money": "{}::numeric::text"}
    columns = [
        sql.SQL(cast("LiteralString", casts.get(kind.name, "{}::text"))).format(sql.Identifier(name))
        for name, kind in kinds.items()
    ]
    query = sql.SQL("SELECT {} FROM {}").format(sql.SQL(", ").join(columns), identifier(relation))
    return [dict(zip(kinds, row, strict=True)) for row in connection.execute(query).fetchall()]
