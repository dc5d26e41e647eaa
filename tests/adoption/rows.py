"""Rows for any schema: made from a seed, respecting every constraint, each of one tenant."""

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

COLUMNS = """
SELECT c.oid::int, n.nspname, c.relname, a.attname, t.typname, e.typname, a.atttypmod, a.attnotnull,
       a.attidentity <> '' OR a.attgenerated <> '' OR coalesce(pg_get_expr(d.adbin, d.adrelid), '') LIKE 'nextval%%',
       ARRAY(SELECT l.enumlabel::text FROM pg_enum l WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid LEFT JOIN pg_type e ON e.oid = t.typbasetype AND t.typbasetype <> 0
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND NOT EXISTS (SELECT FROM pg_inherits i WHERE i.inhrelid = c.oid) ORDER BY n.nspname, c.relname, a.attnum
"""
KEYS = """
SELECT conrelid::int, confrelid::int,
       ARRAY(SELECT a.attname::text FROM unnest(conkey) WITH ORDINALITY k (n, p)
             JOIN pg_attribute a ON a.attrelid = conrelid AND a.attnum = k.n ORDER BY p),
       ARRAY(SELECT a.attname::text FROM unnest(confkey) WITH ORDINALITY k (n, p)
             JOIN pg_attribute a ON a.attrelid = confrelid AND a.attnum = k.n ORDER BY p)
FROM pg_constraint WHERE contype = 'f' AND conparentid = 0 ORDER BY conrelid, conname
"""
TRIES = 40
Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    name: str
    kind: str
    length: int
    required: bool
    automatic: bool
    labels: tuple[str, ...]


@dataclass
class Table:
    name: str
    columns: dict[str, Column] = field(default_factory=dict)
    # Own columns, parent, the parent's columns.
    keys: list[tuple[tuple[str, ...], str, tuple[str, ...]]] = field(default_factory=list)

    def required_parents(self) -> set[str]:
        return {
            parent
            for columns, parent, _ in self.keys
            if parent != self.name and all(self.columns[column].required for column in columns)
        }


class Filler:
    """Fills the tables of some schemas; `fixed` gives the value of a column for a tenant's place among them."""

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        schemas: Sequence[str],
        tenants: tuple[str, str],
        ids: Sequence[Any],
        *,
        seed: int = 7,
        fixed: Mapping[tuple[str, str], Callable[[int], Any]] | None = None,
    ) -> None:
        self.connection = connection
        self.tenants, self.key = tenants
        self.ids = ids
        self.random = random.Random(seed)
        self.fixed = dict(fixed or {})
        self.number = 0
        # The rows that are there, by table and the place of their tenant.
        self.rows: dict[str, dict[int, list[Row]]] = defaultdict(lambda: defaultdict(list))
        self.tables = self._read(schemas)

    def fill(self, each: int = 3, only: Sequence[str] = ()) -> dict[str, int]:
        """Insert about `each` rows per tenant into every table; return the number of rows of each."""
        with self.connection.transaction():
            for place, one in enumerate(self.ids):
                self._insert(self.tables[self.tenants], place, {self.key: one})
            for table in self._ordered():
                if table.name != self.tenants and (not only or table.name in only):
                    for place in range(len(self.ids)):
                        for _ in range(each):
                            self._insert(table, place, {})
            for table in self.tables.values():
                self._complete(table)
        return {name: sum(map(len, self.rows[name].values())) for name in self.tables}

    def _read(self, schemas: Sequence[str]) -> dict[str, Table]:
        names: dict[int, str] = {}
        tables: dict[str, Table] = {}
        rows = self.connection.execute(COLUMNS, (list(schemas),)).fetchall()
        for oid, schema, relation, name, kind, base, modifier, required, automatic, labels in rows:
            names[oid] = f"{schema}.{relation}"
            table = tables.setdefault(names[oid], Table(names[oid]))
            length = modifier - 4 if modifier > 4 and (base or kind) in {"varchar", "bpchar"} else 60
            table.columns[name] = Column(name, base or kind, length, required, automatic, tuple(labels))
        for child, parent, columns, keys in self.connection.execute(KEYS).fetchall():
            if child in names and parent in names:
                tables[names[child]].keys.append((tuple(columns), names[parent], tuple(keys)))
        return tables

    def _ordered(self) -> list[Table]:
        """Return the tables with parents first, those of keys that may be NULL too as far as that is possible."""
        waiting, ordered = dict(self.tables), list[Table]()
        while waiting:
            ready = [one for one in waiting.values() if not one.required_parents() & waiting.keys()]
            assert ready, sorted(waiting)
            first = min(ready, key=lambda one: len({parent for _, parent, _ in one.keys} & waiting.keys() - {one.name}))
            ordered.append(waiting.pop(first.name))
        return ordered

    def _insert(self, table: Table, place: int, given: Row) -> None:
        for _ in range(TRIES):
            values = self._values(table, place, dict(given))
            if values is None:
                continue
            statement = sql.SQL("INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE VALUES ({}) RETURNING *").format(
                identifier(table.name),
                sql.SQL(", ").join(map(sql.Identifier, values)),
                sql.SQL(", ").join(sql.SQL("%s") * len(values)),
            )
            try:
                with self.connection.transaction():
                    cursor = self.connection.cursor(row_factory=dict_row)
                    row = cursor.execute(statement, list(values.values())).fetchone()
            except (psycopg.IntegrityError, psycopg.errors.RaiseException):
                continue
            assert row is not None
            self.rows[table.name][place].append(row)
            return

    def _values(self, table: Table, place: int, values: Row) -> Row | None:
        for (name, column), value in self.fixed.items():
            if name == table.name and column not in values:
                values[column] = value(place)
        for columns, parent, keys in table.keys:
            # A parent that agrees with what is there, such as the tenant that several keys share.
            candidates = [
                row
                for row in self.rows[parent][place]
                if all(
                    str(values.get(column, row[key])) == str(row[key])
                    for column, key in zip(columns, keys, strict=True)
                )
            ]
            optional = not all(table.columns[column].required for column in columns)
            if optional and (not candidates or self.random.random() < 0.15):
                free = [one for one in columns if not table.columns[one].required and one not in values]
                values.update(dict.fromkeys(free))
            elif not candidates:
                return None
            else:
                row = self.random.choice(candidates)
                values.update({column: row[key] for column, key in zip(columns, keys, strict=True)})
        for column in table.columns.values():
            if column.name not in values and not column.automatic:
                values[column.name] = self._value(column)
        return values

    def _value(self, column: Column) -> Any:
        self.number += 1
        number, dice = self.number, self.random
        if not column.required and dice.random() < 0.2:
            return None
        if column.labels:
            return dice.choice(column.labels)
        if column.kind in {"timestamptz", "timestamp", "date"}:
            return f"2026-{dice.randint(1, 12):02d}-{dice.randint(1, 28):02d}"
        if column.kind in PLAIN:
            return PLAIN[column.kind](number)
        return "{}" if column.kind.startswith("_") else f"v{number:x}"[-column.length :]

    def _complete(self, table: Table) -> None:
        """Give rows a parent that came after them."""
        for (column,), parent, (key,) in [one for one in table.keys if len(one[0]) == 1]:
            if table.columns[column].required or parent not in self.tables:
                continue
            for place, rows in self.rows[table.name].items():
                for row in rows:
                    if row[column] is None and self.rows[parent][place] and self.random.random() < 0.5:
                        self._point(table, row, column, self.random.choice(self.rows[parent][place])[key])

    def _point(self, table: Table, row: Row, column: str, value: Any) -> None:
        known = {name: one for name, one in row.items() if one is not None and table.columns[name].kind in SIMPLE}
        statement = sql.SQL("UPDATE {} SET {} = %s WHERE {}").format(
            identifier(table.name),
            sql.Identifier(column),
            sql.SQL(" AND ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in known),
        )
        try:
            with self.connection.transaction():
                self.connection.execute(statement, [value, *known.values()])
        except (psycopg.IntegrityError, psycopg.errors.RaiseException):
            return
        row[column] = value


PLAIN: dict[str, Callable[[int], Any]] = {
    **dict.fromkeys(("int2", "int4", "int8"), lambda number: number % 30_000),
    **dict.fromkeys(("numeric", "float4", "float8", "money"), lambda number: number % 900),
    **dict.fromkeys(("json", "jsonb"), lambda _: "{}"),
    **dict.fromkeys(("bytea", "tsvector"), lambda _: ""),
    "bool": lambda number: number % 2 == 0,
    "uuid": lambda number: f"{number:032x}",
    "interval": lambda _: "1 hour",
    "inet": lambda _: "192.0.2.1",
}
SIMPLE = {"int2", "int4", "int8", "uuid", "varchar", "text", "bpchar"}


def identifier(name: str) -> sql.Identifier:
    return sql.Identifier(*name.split(".", 1))
