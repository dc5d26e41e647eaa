"""The declared table to protect, with everything that was read about it."""

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
    """A declared table or view that can be protected, and the login to protect it for.

    `keeps_policies` says that its existing policies stay for the roles that use it today, but not for the login.
    """

    connection: psycopg.Connection[Any]
    table: Table
    tables: Tables
    facts: Facts
    login: str
    keeps_policies: bool = False

    @property
    def own(self) -> RelationFacts:
        """Its facts from the database."""
        return self.facts[self.table.name]

    @property
    def relation(self) -> Relation:
        """The relation itself."""
        return relation_of(self.connection, self.table.name)

    @property
    def name(self) -> sql.Identifier:
        """Its name as an SQL identifier."""
        return sql.Identifier(self.own.schema, self.own.name)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that the login may read."""
        return granted_columns(self.table, self.facts, self.tables)

    @property
    def owners(self) -> dict[str, tuple[str, ...]]:
        """The NOLOGIN owners of views, to whom the policies apply too, with the columns that they may read."""
        return owner_columns(self.table, self.facts, self.tables)

    @property
    def bound(self) -> list[str]:
        """The roles that the policies name."""
        return [self.login, *self.owners]

    def users(self, relation: Relation | None = None) -> Users:
        """Return the other roles that use the table, or a relation that belongs to it."""
        return users_of(self.connection, relation or self.relation, self.bound)


def subject_of(
    connection: psycopg.Connection[Any], table: Table, tables: Tables, login: str, id_type: Family | None = None
) -> Subject:
    """Read the facts of the tables; raise StartupError when no policy can isolate this table."""
    facts = read_facts(connection, tables)
    if found := obstacles(table, tables, facts, id_type):
        raise StartupError("; ".join(found))
    return Subject(connection, table, tables, facts, login)
