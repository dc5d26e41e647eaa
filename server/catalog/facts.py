"""What the database says about the declared relations: columns, types, keys, indexes, read from pg_catalog."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString

import psycopg


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """One column.

    `type` is format_type() with its modifier, such as numeric(10,2) or shop.status; `base` is the type under any
    domains, without modifier, an array with its brackets; `kind` is typtype of the base: b, e for an enum, …
    """

    name: str
    type: str
    base: str
    kind: str
    scale: int | None
    is_domain: bool
    not_null: bool
    deterministic: bool
    generated: bool


@dataclass(frozen=True, slots=True)
class RelationFacts:
    """One relation: `kind` is relkind (r table, p partitioned table, v view, m materialized view, f foreign table).

    `keys` are the columns of unique, not null, non-partial indexes, the primary key first; `indexes` are the leading
    columns of every valid, non-partial index ("" stands for an expression).
    """

    schema: str
    name: str
    kind: str
    owner: str
    columns: Mapping[str, ColumnFacts]
    primary_key: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
    indexes: tuple[tuple[str, ...], ...]

    @property
    def full_name(self) -> str:
        """schema.name, without quotes."""
        return f"{self.schema}.{self.name}"


_RELATIONS: Final[LiteralString] = """
SELECT n.nspname, c.relname, c.relkind::text, pg_get_userbyid(c.relowner), c.oid::bigint
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname || '.' || c.relname = ANY ($1::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""
# A domain may stand on a domain; the last one's base is what the operators see.
_COLUMNS: Final[LiteralString] = """
WITH RECURSIVE base (type, oid, modifier) AS (
  SELECT t.oid, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END,
         CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE -1 END
  FROM pg_catalog.pg_type t
  WHERE t.oid IN (SELECT atttypid FROM pg_catalog.pg_attribute WHERE attrelid = ANY ($1::oid[]) AND attnum > 0)
  UNION ALL
  SELECT b.type, t.typbasetype, t.typtypmod FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid AND t.typtype = 'd'
)
SELECT a.attrelid::bigint, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
       pg_catalog.format_type(b.oid, NULL), t.typtype::text,
       CASE WHEN b.oid = 'pg_catalog.numeric'::regtype AND greatest(a.atttypmod, b.modifier) >= 4
            THEN (greatest(a.atttypmod, b.modifier) - 4) & 2047 END,
       a.atttypid <> b.oid, a.attnotnull, coalesce(l.collisdeterministic, true), a.attgenerated <> ''
FROM pg_catalog.pg_attribute a
JOIN base b ON b.type = a.atttypid
JOIN pg_catalog.pg_type t ON t.oid = b.oid AND t.typtype <> 'd'
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""
_INDEXES: Final[LiteralString] = """
SELECT i.indrelid::bigint, i.indisprimary, i.indisunique AND i.indimmediate,
       ARRAY(SELECT coalesce(a.attname::text, '') FROM unnest(i.indkey) WITH ORDINALITY AS k (number, place)
             LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
             WHERE k.place <= i.indnkeyatts ORDER BY k.place)
FROM pg_catalog.pg_index i
WHERE i.indrelid = ANY ($1::oid[]) AND i.indisvalid AND i.indpred IS NULL
ORDER BY i.indrelid, i.indisprimary DESC, i.indexrelid
"""


def read_facts(connection: psycopg.Connection[Any], names: Iterable[str]) -> dict[str, RelationFacts]:
    """Return the facts of each relation that exists, by schema.name; every role may read them.

    `connection` has psycopg's RawCursor as its cursor.
    """
    relations = connection.execute(_RELATIONS, (list(names),)).fetchall()
    oids = [row[4] for row in relations]
    columns: dict[int, dict[str, ColumnFacts]] = {oid: {} for oid in oids}
    for oid, *values in connection.execute(_COLUMNS, (oids,)).fetchall():
        columns[oid][values[0]] = ColumnFacts(*values)
    indexes: dict[int, list[tuple[bool, bool, tuple[str, ...]]]] = {oid: [] for oid in oids}
    for oid, primary, unique, leading in connection.execute(_INDEXES, (oids,)).fetchall():
        indexes[oid].append((primary, unique, tuple(leading)))
    facts = (
        RelationFacts(schema, name, kind, owner, columns[oid], *_keys(columns[oid], indexes[oid]))
        for schema, name, kind, owner, oid in relations
    )
    return {one.full_name: one for one in facts}


def _keys(
    columns: Mapping[str, ColumnFacts], indexes: list[tuple[bool, bool, tuple[str, ...]]]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]:
    """Return the primary key, all keys, and the columns of all indexes."""
    primary = next((leading for is_primary, _, leading in indexes if is_primary), ())
    keys = tuple(
        leading
        for _, unique, leading in indexes
        if unique and all(column in columns and columns[column].not_null for column in leading)
    )
    return primary, keys, tuple(one[2] for one in indexes)
