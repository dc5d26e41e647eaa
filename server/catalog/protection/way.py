"""The data for the steps to an own tenant column: the child, its parent, and the names of new objects."""

from typing import Any, Final, LiteralString, cast

from psycopg import sql

from server.catalog.declarations import Through
from server.catalog.facts import ColumnFacts, RelationFacts
from server.catalog.protection.exposure import parts_of, relation_of
from server.catalog.protection.script import Script, object_name
from server.catalog.protection.subject import Subject
from server.catalog.tenant_columns import parent_key
from server.errors import StartupError

_FOREIGN_KEY: Final[LiteralString] = """
SELECT c.confdeltype::text, c.condeferrable
FROM pg_catalog.pg_constraint c
WHERE c.contype = 'f' AND c.conrelid = $1::oid AND c.confrelid = $2::oid
  AND c.conkey = ARRAY(SELECT attnum FROM pg_catalog.pg_attribute WHERE attrelid = $1::oid AND attname = $3)
  AND c.confkey = ARRAY(SELECT attnum FROM pg_catalog.pg_attribute WHERE attrelid = $2::oid AND attname = $4)
ORDER BY c.oid LIMIT 1
"""


class Way:
    """The way of one child table to its own tenant column, a column that its parent already has."""

    def __init__(self, subject: Subject) -> None:
        """Raise StartupError when the table is not a child table, or the steps are not possible."""
        table, facts = subject.table, subject.facts
        if not isinstance(table.tenant, Through):
            raise StartupError(f"{table.name} is not the child of another table; leave out --own-column")
        parent = subject.tables[table.tenant.parent]
        if parent.tenant_column is None:
            raise StartupError(
                f"{parent.name}, the parent, has no tenant column of its own yet; first run `tenantgate tools sql "
                f"{parent.name} --own-column` and declare its new column"
            )
        pair = [(facts[name].kind, relation_of(subject.connection, name)) for name in (table.name, parent.name)]
        if any(kind != "r" or parts_of(subject.connection, relation) for kind, relation in pair):
            raise StartupError(
                f"{table.name} or its parent {parent.name} has partitions or inheritance children, which these steps "
                "do not support; add the column with your own steps"
            )
        self.subject: Final = subject
        self.parent: Final[RelationFacts] = facts[parent.name]
        self.tenant: Final[ColumnFacts] = self.parent.columns[parent.tenant_column]
        self.foreign: Final[ColumnFacts] = subject.own.columns[table.tenant.through]
        self.key: Final[str] = parent_key(table, facts) or ""
        present = subject.own.columns.get(self.tenant.name)
        if present is not None and present.type != self.tenant.type:
            raise StartupError(
                f"{table.name} has a column {present.name} of type {present.type} already, but its parent's is "
                f"{self.tenant.type}; rename it, or declare it if it is the tenant column"
            )

    @property
    def unique_index(self) -> str:
        """The name of the parent's unique index, which the foreign key needs."""
        return object_name(self.parent.name, self.tenant.name, self.key, "tenantgate")

    @property
    def names(self) -> dict[str, sql.Composable]:
        """The SQL parts for the placeholders of the statements, by name."""
        own = self.subject.own
        return {
            "child": self.subject.name,
            "parent": sql.Identifier(self.parent.schema, self.parent.name),
            "owner": sql.Identifier(self.parent.owner),
            "tenant": sql.Identifier(self.tenant.name),
            "type": self._type(),
            "fk": sql.Identifier(self.foreign.name),
            "key": sql.Identifier(self.key),
            "unique": sql.Identifier(self.unique_index),
            "function": sql.Identifier(own.schema, object_name(own.name, "tenant_of_parent")),
            # PostgreSQL runs the triggers of one event in the order of their names. This one runs last.
            "trigger": sql.Identifier("zz_tenant_of_parent"),
            "required": sql.Identifier(object_name(own.name, "tenant_required")),
            "reference": sql.Identifier(object_name(own.name, "tenant_of_parent_fkey")),
        }

    def _type(self) -> sql.SQL:
        # PostgreSQL returned both names, quoted where necessary; a domain includes its collation.
        plain = self.tenant.is_domain or self.tenant.collation in {"", 'pg_catalog."default"'}
        text = self.tenant.type if plain else f"{self.tenant.type} COLLATE {self.tenant.collation}"
        return sql.SQL(cast("LiteralString", text))

    def foreign_key(self) -> tuple[str, bool] | None:
        """Return the foreign key's ON DELETE action and whether it is deferrable; None without a foreign key."""
        connection = self.subject.connection
        child, parent = (relation_of(connection, one.full_name) for one in (self.subject.own, self.parent))
        values: tuple[Any, ...] = (child.oid, parent.oid, self.foreign.name, self.key)
        found = connection.execute(_FOREIGN_KEY, values).fetchall()
        return (found[0][0], found[0][1]) if found else None


def long_step(way: Way, comment: str, text: LiteralString) -> Script:
    """Return a step of one statement that blocks nobody, so it needs no lock_timeout."""
    script = Script()
    script.say(comment)
    script.run(sql.SQL(text).format(**way.names))
    return script


def short_step(way: Way, comment: str, *statements: sql.Composable | LiteralString) -> Script:
    """Return a step whose lock blocks others, so it fails if it does not get the lock soon."""
    script = Script()
    script.say(comment)
    script.run(sql.SQL("BEGIN"))
    script.run(sql.SQL("SET LOCAL lock_timeout = '300ms'"))
    for statement in statements:
        script.run(sql.SQL(statement).format(**way.names) if isinstance(statement, str) else statement)
    script.run(sql.SQL("COMMIT"))
    return script
