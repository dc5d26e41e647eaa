"""What `adopt` reads from pg_catalog of an existing database: relations, foreign keys, comments, policies."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import psycopg

from server.adoption.allowed_values import allowed_values
from server.catalog.facts import RelationFacts, read_facts
from server.catalog.protection.exposure import ExistingPolicy, Relation, policies_on

# All relations, except those in the schemas of this product and of PostgreSQL.
_RELATIONS: Final[LiteralString] = """
SELECT c.oid::bigint, n.nspname::text, c.relname::text, obj_description(c.oid, 'pg_class'),
       CASE c.relkind WHEN 'p' THEN
         (SELECT coalesce(sum(pg_total_relation_size(t.relid)), 0)::bigint
          FROM pg_partition_tree(c.oid) t WHERE t.isleaf)
       WHEN 'v' THEN 0 ELSE pg_total_relation_size(c.oid) END,
       greatest(CASE c.relkind WHEN 'p' THEN
         (SELECT sum(p.reltuples) FROM pg_partition_tree(c.oid) t JOIN pg_catalog.pg_class p ON p.oid = t.relid
          WHERE t.isleaf) ELSE c.reltuples END, 0)::bigint,
       (SELECT pn.nspname || '.' || p.relname FROM pg_catalog.pg_inherits i
        JOIN pg_catalog.pg_class p ON p.oid = i.inhparent JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
        WHERE i.inhrelid = c.oid ORDER BY i.inhseqno LIMIT 1),
       (SELECT e.extname::text FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e' LIMIT 1)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
  AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('information_schema', 'tenancy', 'tenantgate')
ORDER BY 2, 3
"""
# Without those of partitions, which repeat the foreign keys of their parent.
_FOREIGN_KEYS: Final[LiteralString] = """
SELECT k.conname::text, k.conrelid::bigint, k.confrelid::bigint,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS c (number, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = c.number ORDER BY c.place),
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS c (number, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = c.number ORDER BY c.place)
FROM pg_catalog.pg_constraint k
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = ANY ($1::oid[]) AND k.confrelid = ANY ($1::oid[])
ORDER BY k.conrelid, k.conname
"""
_WITH_POLICIES: Final[LiteralString] = "SELECT DISTINCT polrelid::bigint FROM pg_catalog.pg_policy"
_COMMENTS: Final[LiteralString] = """
SELECT d.objoid::bigint, a.attname::text, d.description
FROM pg_catalog.pg_description d
JOIN pg_catalog.pg_attribute a ON a.attrelid = d.objoid AND a.attnum = d.objsubid
WHERE d.classoid = 'pg_class'::regclass AND d.objsubid > 0 AND d.objoid = ANY ($1::oid[])
"""
_ENUMS: Final[LiteralString] = """
SELECT a.attrelid::bigint, a.attname::text, array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
JOIN pg_catalog.pg_enum e ON e.enumtypid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
GROUP BY 1, 2
"""
_CHECKS: Final[LiteralString] = """
SELECT k.conrelid::bigint, a.attname::text, a.attname::text, pg_get_constraintdef(k.oid)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND k.conkey = ARRAY[a.attnum]
WHERE k.contype = 'c' AND k.convalidated AND k.conrelid = ANY ($1::oid[])
UNION ALL
SELECT a.attrelid::bigint, a.attname::text, 'value', pg_get_constraintdef(k.oid)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_attribute a ON a.atttypid = k.contypid AND a.attnum > 0 AND NOT a.attisdropped
WHERE k.contype = 'c' AND k.convalidated AND a.attrelid = ANY ($1::oid[])
"""
# The columns that each generated column is computed from.
_SOURCES: Final[LiteralString] = """
SELECT a.attrelid::bigint, a.attname::text, array_agg(DISTINCT s.attname::text)
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.attrelid AND d.refobjsubid > 0
  AND d.refobjsubid <> a.attnum
  AND (d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid
       OR d.classid = 'pg_class'::regclass AND d.objid = a.attrelid AND d.objsubid = a.attnum)
JOIN pg_catalog.pg_attribute s ON s.attrelid = a.attrelid AND s.attnum = d.refobjsubid
WHERE a.attgenerated <> '' AND a.attrelid = ANY ($1::oid[])
GROUP BY 1, 2
"""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key between two of the relations read, named schema.table; `keys` are the parent's columns."""

    name: str
    table: str
    columns: tuple[str, ...]
    parent: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FoundRelation:
    """A relation of the database.

    `size` is in bytes, with indexes; `estimate` is the planner's number of rows; `part_of` is the parent of a partition
    or inheritance child; `values` holds all values that a column can have, where the database limits them; `sources`
    holds the columns that each generated column is computed from.
    """

    oid: int
    facts: RelationFacts
    comment: str | None = None
    size: int = 0
    estimate: int = 0
    part_of: str | None = None
    extension: str | None = None
    policies: tuple[ExistingPolicy, ...] = ()
    comments: Mapping[str, str] = field(default_factory=dict[str, str])
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    sources: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])

    @property
    def name(self) -> str:
        """schema.table, without quotes."""
        return self.facts.full_name

    @property
    def relation(self) -> Relation:
        """The relation in the form that the protection of tables uses."""
        return Relation(self.oid, self.facts.schema, self.facts.name)


@dataclass(frozen=True, slots=True)
class DatabaseRelations:
    """Everything that was read, sorted by name; `facts` holds the same relations in the catalog's form."""

    relations: Mapping[str, FoundRelation]
    foreign_keys: tuple[ForeignKey, ...]

    @property
    def facts(self) -> dict[str, RelationFacts]:
        """The facts of each relation, by schema.table."""
        return {name: found.facts for name, found in self.relations.items()}


def read_database(connection: psycopg.Connection[Any]) -> DatabaseRelations:
    """Return every relation of every schema; `connection` has psycopg's RawCursor and only reads."""
    rows = connection.execute(_RELATIONS).fetchall()
    oids = [row[0] for row in rows]
    facts = read_facts(connection, [f"{schema}.{name}" for _, schema, name, *_ in rows])
    comments, values, sources = _comments(connection, oids), _values(connection, oids), _sources(connection, oids)
    with_policies = {row[0] for row in connection.execute(_WITH_POLICIES).fetchall()}
    found: dict[str, FoundRelation] = {}
    for oid, schema, name, comment, size, estimate, part_of, extension in rows:
        own = facts[f"{schema}.{name}"]
        relation = Relation(oid, schema, name)
        found[own.full_name] = FoundRelation(
            oid,
            own,
            _sentence(comment),
            size,
            estimate,
            part_of,
            extension,
            tuple(policies_on(connection, relation)) if oid in with_policies else (),
            comments.get(oid, {}),
            values.get(oid, {}),
            sources.get(oid, {}),
        )
    names = {one.oid: one.name for one in found.values()}
    keys = tuple(
        ForeignKey(name, names[table], tuple(columns), names[parent], tuple(keys))
        for name, table, parent, columns, keys in connection.execute(_FOREIGN_KEYS, (oids,)).fetchall()
    )
    return DatabaseRelations(found, keys)


def _sentence(text: str | None) -> str | None:
    return " ".join(text.split()) or None if text else None


def _comments(connection: psycopg.Connection[Any], oids: list[int]) -> dict[int, dict[str, str]]:
    found: dict[int, dict[str, str]] = {}
    for oid, column, text in connection.execute(_COMMENTS, (oids,)).fetchall():
        if sentence := _sentence(text):
            found.setdefault(oid, {})[column] = sentence
    return found


def _values(connection: psycopg.Connection[Any], oids: list[int]) -> dict[int, dict[str, tuple[str, ...]]]:
    found: dict[int, dict[str, tuple[str, ...]]] = {}
    for oid, column, labels in connection.execute(_ENUMS, (oids,)).fetchall():
        found.setdefault(oid, {})[column] = tuple(labels)
    for oid, column, called, text in connection.execute(_CHECKS, (oids,)).fetchall():
        values, columns = allowed_values(text, called), found.setdefault(oid, {})
        if values is not None:
            # With several checks, only values that pass all of them are allowed.
            columns[column] = tuple(one for one in columns.get(column, values) if one in values)
    return found


def _sources(connection: psycopg.Connection[Any], oids: list[int]) -> dict[int, dict[str, frozenset[str]]]:
    found: dict[int, dict[str, frozenset[str]]] = {}
    for oid, column, names in connection.execute(_SOURCES, (oids,)).fetchall():
        found.setdefault(oid, {})[column] = frozenset(names)
    return found
