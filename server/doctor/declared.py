"""The declared relations in the database: everything that the checks compare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql

from server.catalog.declarations import Table, Through
from server.catalog.facts import RelationFacts, read_facts
from server.catalog.policy_problems import obstacles
from server.catalog.readable import granted_columns, owner_columns
from server.catalog.tenant_columns import Family
from server.doctor.policies import FoundPolicy, policies_on
from server.doctor.reach import Grant, parts_of, readable


@dataclass(frozen=True, slots=True)
class Declared:
    """The declarations and their facts; `reach` is everything that the login may read, declared or not.

    `owners` are the NOLOGIN owners of declared views, by table, each with the columns that its views need.
    """

    login: str
    id_type: Family
    tables: Mapping[str, Table]
    facts: Mapping[str, RelationFacts]
    reach: Mapping[str, Sequence[Grant]]
    parts: Mapping[str, str]
    policies: Mapping[str, Sequence[FoundPolicy]]
    obstacles: Mapping[str, Sequence[str]]
    owners: Mapping[str, Mapping[str, tuple[str, ...]]]
    reach_of_owners: Mapping[str, Mapping[str, Sequence[Grant]]] = field(default_factory=dict[str, Any])

    @property
    def present(self) -> list[Table]:
        """The declared tables and views that exist."""
        return [table for name, table in self.tables.items() if name in self.facts]

    def needed(self, table: Table) -> tuple[str, ...]:
        """Return the columns that must be granted to the login."""
        return granted_columns(table, self.facts, {one.name: one for one in self.present})

    @property
    def isolable(self) -> list[Table]:
        """The present relations whose rows a policy can isolate."""
        return [table for table in self.present if not self.obstacles[table.name]]

    @property
    def provable(self) -> list[Table]:
        """The isolable relations whose parents, up to the tenant column, have no obstacles."""
        return [table for table in self.isolable if self._is_provable(table)]

    def _is_provable(self, table: Table) -> bool:
        while isinstance(table.tenant, Through):
            parent = table.tenant.parent
            if parent not in self.facts or self.obstacles[parent]:
                return False
            table = self.tables[parent]
        return True

    def bound(self, name: str) -> tuple[str, ...]:
        """Return the roles that the policies of a table name: the login, and the owners of views over the table."""
        return (self.login, *self.owners.get(name, ()))

    def relation(self, name: str) -> sql.Identifier:
        """Return the name as an SQL identifier."""
        return sql.Identifier(self.facts[name].schema, self.facts[name].name)


def read_declared(
    connection: psycopg.Connection[Any], tables: Mapping[str, Table], login: str, id_type: Family
) -> Declared:
    """Read everything in a fixed number of statements, however many tables are declared."""
    facts = read_facts(connection, tables)
    existing = {name: table for name, table in tables.items() if name in facts}
    owners = {name: owner_columns(table, facts, existing) for name, table in existing.items()}
    roles = {role for needed in owners.values() for role in needed}
    return Declared(
        login=login,
        id_type=id_type,
        tables=tables,
        facts=facts,
        reach=readable(connection, login),
        parts=parts_of(connection, tables),
        policies=policies_on(connection, tables, {login, *roles}),
        obstacles={name: obstacles(table, tables, facts, id_type) for name, table in tables.items()},
        owners=owners,
        reach_of_owners={role: readable(connection, role) for role in sorted(roles)},
    )
