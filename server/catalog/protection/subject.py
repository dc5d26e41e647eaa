"""The declared table that is being protected, with everything that was read about it."""

from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from server.catalog.declarations import Table
from server.catalog.facts import RelationFacts, read_facts
from server.catalog.policy_problems import obstacles
from server.catalog.protection.exposure import Relation, Users, relation_of, users_of
from server.catalog.readable import granted_columns, owner_columns
from server.catalog.tenant_columns import Facts, Family, Tables
from server.errors import StartupError


@dataclass(frozen=True, slots=True)
class Subject:
    """A declared table or view that can be protected, and the login that it is protected for.

    `keeps_policies` says that policies of its own stay for those who use it today, and are taken from the login.
    """

    connection: psycopg.Connection[Any]
    table: Table
    tables: Tables
    facts: Facts
    login: str
    keeps_policies: bool = False

    @property
    def own(self) -> RelationFacts:
        """What the database says of it."""
        return self.facts[self.table.name]

    @property
    def relation(self) -> Relation:
        """The relation itself."""
        return relation_of(self.connection, self.table.name)

    @property
    def name(self) -> sql.Identifier:
        """Its name for a statement."""
        return sql.Identifier(self.own.schema, self.own.name)

    @property
    def columns(self) -> tuple[str, ...]:
        """What the login may read."""
        return granted_columns(self.table, self.facts, self.tables)

    @property
    def owners(self) -> dict[str, tuple[str, ...]]:
        """The NOLOGIN owners of views, whom the policies bind as well, with what they may read."""
        return owner_columns(self.table, self.facts, self.tables)

    @property
    def bound(self) -> list[str]:
        """The roles that the policies are for."""
        return [self.login, *self.owners]

    def users(self, relation: Relation | None = None) -> Users:
        """Return who else uses the table, or a relation that belongs to it."""
        return users_of(self.connection, relation or self.relation, self.bound)


def subject_of(
    connection: psycopg.Connection[Any], table: Table, tables: Tables, login: str, id_type: Family | None = None
) -> Subject:
    """Read what there is to know; raise StartupError when no policy can isolate the table."""
    facts = read_facts(connection, tables)
    if found := obstacles(table, tables, facts, id_type):
        raise StartupError("; ".join(found))
    return Subject(connection, table, tables, facts, login)
