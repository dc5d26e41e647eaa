"""Facts about the declared relations, read from pg_catalog: columns, types, keys, indexes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import psycopg

from server.catalog.letter_case import ASCII, read_letter_case


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """One column.

    `type` is format_type() with its modifier, such as numeric(10,2) or shop.status; `base` is the type under any
    domains, without modifier (an array keeps its brackets); `kind` is typtype of the base: b, e for an enum, …
    `quoted` is the name as PostgreSQL writes it; `collation` is schema.name, or empty for a type without collations.
    `code_order` says that this collation sorts texts by code points, like "C". `generated` is attgenerated: s for a
    stored generated column, v for a virtual one, else empty.
    """

    name: str
    type: str
    base: str
    kind: str
    scale: int | None
    is_domain: bool
    not_null: bool
    deterministic: bool
    generated: str
    quoted: str = ""
    collation: str = ""
    code_order: bool = False


@dataclass(frozen=True, slots=True)
class IndexedKey:
    """One key of a B-tree index: its column or expression as PostgreSQL writes it, its collation, and its direction.

    `option` is that of pg_index: 0 ascending with NULLs last, 3 descending with NULLs first.
    """

    text: str
    collation: str
    option: int


@dataclass(frozen=True, slots=True)
class RelationFacts:
    """One relation: `kind` is relkind (r table, p partitioned table, v view, m materialized view, f foreign table).

    `keys` are the columns of unique, not null, non-partial indexes, the primary key first; `indexes` are the leading
    columns of every valid, non-partial index ("" for an expression). `leads` are the columns by which rows are found
    without reading the whole table: the first columns of B-tree indexes and of the partition key. `orders` are the keys
    of every valid, non-partial B-tree index; `partial_orders` are condition and keys of every valid partial one, as
    PostgreSQL writes them. A view has `reads`, the relations and columns that its query uses;
    `bound_owner` says that row level security applies to its owner, which cannot log in. `letter_case` is the collation
    for ignoring letter case in this database.
    """

    schema: str
    name: str
    kind: str
    owner: str
    columns: Mapping[str, ColumnFacts]
    primary_key: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
    indexes: tuple[tuple[str, ...], ...]
    quoted: str = ""
    row_security: bool = False
    invoker: bool = False
    bound_owner: bool = False
    leads: frozenset[str] = frozenset()
    reads: Mapping[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    letter_case: str = ASCII
    orders: tuple[tuple[IndexedKey, ...], ...] = ()
    partial_orders: tuple[tuple[str, tuple[IndexedKey, ...]], ...] = ()

    @property
    def full_name(self) -> str:
        """schema.name, without quotes."""
        return f"{self.schema}.{self.name}"


_RELATIONS: Final[LiteralString] = """
SELECT n.nspname, c.relname, c.relkind::text, pg_get_userbyid(c.relowner), c.oid::bigint,
       quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relrowsecurity,
       coalesce((SELECT o.option_value::boolean FROM pg_options_to_table(c.reloptions) o
                 WHERE o.option_name = 'security_invoker'), false),
       NOT (r.rolcanlogin OR r.rolsuper OR r.rolbypassrls) AND NOT EXISTS (
         SELECT FROM pg_catalog.pg_rewrite w
         JOIN pg_catalog.pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
         JOIN pg_catalog.pg_class b ON d.refclassid = 'pg_class'::regclass AND b.oid = d.refobjid AND b.oid <> c.oid
         WHERE w.ev_class = c.oid AND b.relkind IN ('r', 'p') AND pg_has_role(c.relowner, b.relowner, 'USAGE')),
       (SELECT a.attname::text FROM pg_catalog.pg_partitioned_table p
        JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum = p.partattrs[0] AND a.attnum > 0
        WHERE p.partrelid = c.oid)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
WHERE n.nspname || '.' || c.relname = ANY ($1::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
"""
# A domain may be based on another domain; operators use the base type of the last one.
_COLUMNS: Final[LiteralString] = """
WITH RECURSIVE base (type, oid, modifier) AS (
  SELECT t.oid, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END,
         CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE -1 END
  FROM pg_catalog.pg_type t
  WHERE t.oid IN (SELECT atttypid FROM pg_catalog.pg_attribute WHERE attrelid = ANY ($1::oid[]) AND attnum > 0)
  UNION ALL
  SELECT b.type, t.typbasetype, t.typtypmod FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.oid AND t.typtype = 'd'
), whole (code_order) AS (
  -- Until PostgreSQL 14 the C library gives every database its collation, and there is no such column.
  SELECT CASE coalesce(to_jsonb(d) ->> 'datlocprovider', 'c')
         WHEN 'b' THEN true WHEN 'c' THEN lower(replace(d.datcollate, '-', '')) IN ('c', 'posix', 'c.utf8') END
  FROM pg_catalog.pg_database d WHERE d.datname = current_database()
)
SELECT a.attrelid::bigint, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
       pg_catalog.format_type(b.oid, NULL), t.typtype::text,
       CASE WHEN b.oid = 'pg_catalog.numeric'::regtype AND greatest(a.atttypmod, b.modifier) >= 4
            THEN (greatest(a.atttypmod, b.modifier) - 4) & 2047 END,
       a.atttypid <> b.oid, a.attnotnull, coalesce(l.collisdeterministic, true), a.attgenerated::text,
       quote_ident(a.attname), coalesce(quote_ident(ln.nspname) || '.' || quote_ident(l.collname), ''),
       coalesce(CASE l.collprovider
                WHEN 'd' THEN whole.code_order WHEN 'b' THEN true
                WHEN 'c' THEN lower(replace(l.collcollate, '-', '')) IN ('c', 'posix', 'c.utf8') END, false)
FROM pg_catalog.pg_attribute a
JOIN base b ON b.type = a.atttypid
JOIN pg_catalog.pg_type t ON t.oid = b.oid AND t.typtype <> 'd'
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
LEFT JOIN pg_catalog.pg_namespace ln ON ln.oid = l.collnamespace
CROSS JOIN whole
WHERE a.attrelid = ANY ($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
"""
_INDEXES: Final[LiteralString] = """
SELECT i.indrelid::bigint, coalesce(pg_get_expr(i.indpred, i.indrelid), ''), i.indisprimary,
       i.indisunique AND i.indimmediate,
       ARRAY(SELECT coalesce(a.attname::text, '') FROM unnest(i.indkey) WITH ORDINALITY AS k (number, place)
             LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number AND k.number > 0
             WHERE k.place <= i.indnkeyatts ORDER BY k.place),
       m.amname = 'btree',
       CASE WHEN m.amname = 'btree' AND NOT EXISTS (
              SELECT FROM unnest(i.indclass) AS one JOIN pg_catalog.pg_opclass o ON o.oid = one WHERE NOT o.opcdefault)
            THEN ARRAY(SELECT pg_get_indexdef(i.indexrelid, k::integer, false)
                       FROM generate_series(1, i.indnkeyatts) AS k ORDER BY k) ELSE '{}' END,
       ARRAY(SELECT coalesce(quote_ident(n.nspname) || '.' || quote_ident(l.collname), '')
             FROM unnest(i.indcollation) WITH ORDINALITY AS k (oid, place)
             LEFT JOIN pg_catalog.pg_collation l ON l.oid = k.oid
             LEFT JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace ORDER BY k.place),
       i.indoption::int2[]
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
JOIN pg_catalog.pg_am m ON m.oid = x.relam
WHERE i.indrelid = ANY ($1::oid[]) AND i.indisvalid
ORDER BY i.indrelid, i.indisprimary DESC, i.indexrelid
"""
# The columns that a view uses, also in conditions and joins; a whole-row reference ("v::text") does not appear here.
_READS: Final[LiteralString] = """
SELECT w.ev_class::bigint, n.nspname || '.' || b.relname,
       coalesce(array_agg(DISTINCT a.attname::text) FILTER (WHERE a.attname IS NOT NULL), '{}')
FROM pg_catalog.pg_rewrite w
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid
JOIN pg_catalog.pg_class b ON d.refclassid = 'pg_class'::regclass AND b.oid = d.refobjid AND b.oid <> w.ev_class
JOIN pg_catalog.pg_namespace n ON n.oid = b.relnamespace
LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = b.oid AND a.attnum = d.refobjsubid AND d.refobjsubid > 0
WHERE w.ev_class = ANY ($1::oid[]) AND b.relkind IN ('r', 'p', 'v', 'm', 'f')
GROUP BY 1, 2
"""

# Whether it is the primary key, whether it is unique, its columns, whether it is a B-tree, and its keys.
_Index = tuple[bool, bool, tuple[str, ...], bool, tuple[IndexedKey, ...]]


def read_facts(connection: psycopg.Connection[Any], names: Iterable[str]) -> dict[str, RelationFacts]:
    """Return the facts of each relation that exists, by schema.name; every role may read them.

    `connection` has psycopg's RawCursor as its cursor, and `quote_all_identifiers` is off, as it is by default.
    """
    relations = connection.execute(_RELATIONS, (list(names),)).fetchall()
    oids = [row[4] for row in relations]
    columns: dict[int, dict[str, ColumnFacts]] = {oid: {} for oid in oids}
    for oid, *values in connection.execute(_COLUMNS, (oids,)).fetchall():
        columns[oid][values[0]] = ColumnFacts(*values)
    indexes: dict[int, list[_Index]] = {oid: [] for oid in oids}
    partial: dict[int, list[tuple[str, tuple[IndexedKey, ...]]]] = {oid: [] for oid in oids}
    for oid, condition, primary, unique, leading, btree, *keys in connection.execute(_INDEXES, (oids,)).fetchall():
        # zip() stops early: an index without usable keys still has collations and options.
        ordered = tuple(IndexedKey(*one) for one in zip(*keys, strict=False))
        if condition:
            partial[oid].append((condition, ordered))
        else:
            indexes[oid].append((primary, unique, tuple(leading), btree, ordered))
    reads: dict[int, dict[str, frozenset[str]]] = {oid: {} for oid in oids}
    for oid, name, touched in connection.execute(_READS, (oids,)).fetchall():
        reads[oid][name] = frozenset(touched)
    letter_case = read_letter_case(connection)
    found: dict[str, RelationFacts] = {}
    for schema, name, kind, owner, oid, quoted, on, invoker, bound, partitioned_by in relations:
        leads = frozenset({one[2][0] for one in indexes[oid] if one[3]} | {partitioned_by or ""})
        is_view = kind == "v"
        one = RelationFacts(
            schema,
            name,
            kind,
            owner,
            columns[oid],
            *_keys(columns[oid], indexes[oid]),
            quoted=quoted,
            row_security=on,
            invoker=is_view and invoker,
            bound_owner=is_view and bound and not invoker,
            leads=leads - {""},
            reads=reads[oid] if is_view else {},
            letter_case=letter_case,
            orders=tuple(one[4] for one in indexes[oid] if one[4]),
            partial_orders=tuple(one for one in partial[oid] if one[1]),
        )
        found[one.full_name] = one
    return found


def _keys(
    columns: Mapping[str, ColumnFacts], indexes: list[_Index]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], tuple[tuple[str, ...], ...]]:
    """Return the primary key, all keys, and the columns of all indexes."""
    primary = next((leading for is_primary, _, leading, *_ in indexes if is_primary), ())
    keys = tuple(
        leading
        for _, unique, leading, *_ in indexes
        if unique and all(column in columns and columns[column].not_null for column in leading)
    )
    return primary, keys, tuple(one[2] for one in indexes)
