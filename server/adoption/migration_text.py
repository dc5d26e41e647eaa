"""The migrations of an adoption: the SQL that protects each table, step by step, one table per transaction."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from server.administration.steps import STEP
from server.adoption.decisions import Decisions
from server.adoption.reach import reachable
from server.catalog.declarations import Through
from server.catalog.protection.exposure import Relation, public_privileges, users_of
from server.catalog.protection.grants import revoke_all
from server.catalog.protection.indexes import index_parts
from server.catalog.protection.script import Script
from server.catalog.protection.subject import Subject
from server.catalog.protection.table import protect_table
from server.catalog.protection.view import protect_view
from server.errors import StartupError


@dataclass(frozen=True, slots=True)
class MigrationSection:
    """The steps of one relation, routine or sequence."""

    schema: str
    name: str
    steps: tuple[str, ...]

    @property
    def label(self) -> str:
        """The name on one line, for the marks of the steps."""
        return "".join(character if character.isprintable() else " " for character in self.name)

    def text(self) -> str:
        """Return the steps with their marks; raises StartupError when a name contains a line like a mark."""
        if any(line.startswith(STEP) for step in self.steps for line in step.split("\n")):
            raise StartupError(f"a name in the SQL of {self.label} has a line like {STEP!r}; rename that object")
        return "\n".join(f"{STEP} {self.label}\n{step.rstrip()}\n" for step in self.steps)


class Protecting:
    """Makes the SQL of tables that are declared together."""

    def __init__(
        self, connection: psycopg.Connection[Any], decisions: Decisions, login: str, kept: Collection[str]
    ) -> None:
        """Take the decisions; `kept` are the tables whose existing policies stay for roles other than the login."""
        self._connection: Final = connection
        self._decisions: Final = decisions
        self._login: Final = login
        self._kept: Final = kept
        self._facts: Final = decisions.database.facts

    def section(self, name: str) -> MigrationSection:
        """Return the SQL that protects one declared table."""
        subject = self._subject(name)
        if subject.own.kind == "v":
            return MigrationSection(subject.own.schema, name, (protect_view(subject).text(),))
        return MigrationSection(
            subject.own.schema, name, (*_index_steps(subject), protect_table(subject, indexes=False).text())
        )

    def out_of_reach(self) -> Iterator[MigrationSection]:
        """Yield the SQL that revokes undeclared objects from the login, where this administrator may do so."""
        for name in self._undeclared():
            found = self._decisions.database.relations[name]
            script = Script()
            script.say(f"{name} is not declared, and {self._login} could read it by a grant of its own or of PUBLIC.")
            script.begin()
            revoke_all(script, self._subject(next(iter(self._decisions.tables))), found.relation)
            script.run(sql.SQL("COMMIT"))
            yield MigrationSection(found.facts.schema, name, (script.text(),))
        for one in reachable(self._connection, self._login):
            if one.is_ours:
                yield MigrationSection(one.schema, one.name, (one.script(self._login).text(),))

    def out_of_our_power(self) -> list[str]:
        """Return the undeclared relations in the login's reach whose grants only another owner can change."""
        return [name for name in self._in_reach() if not self._is_ours(name)]

    def _undeclared(self) -> list[str]:
        return [name for name in self._in_reach() if self._is_ours(name)]

    def _in_reach(self) -> list[str]:
        """Return the relations that the login could read although neither they nor the table above them is declared."""
        relations = self._decisions.database.relations
        found: list[str] = []
        for name, one in relations.items():
            whole = name
            while whole not in self._decisions.tables and (part_of := relations[whole].part_of) is not None:
                whole = part_of
            is_declared = whole in self._decisions.tables
            if not is_declared and (
                public_privileges(self._connection, one.relation) or self._has_grants(one.relation)
            ):
                found.append(name)
        return found

    def _is_ours(self, name: str) -> bool:
        owner = self._decisions.database.relations[name].facts.owner
        return self._connection.execute("SELECT pg_has_role($1::name, 'USAGE')", (owner,)).fetchall()[0][0]

    def _subject(self, name: str) -> Subject:
        tables = self._decisions.tables
        return Subject(
            self._connection, tables[name], tables, self._facts, self._login, keeps_policies=name in self._kept
        )

    def _has_grants(self, relation: Relation) -> bool:
        return self._login in users_of(self._connection, relation, []).granted


def _index_steps(subject: Subject) -> Iterator[str]:
    """Yield a step for each missing index; its lock_timeout makes the step fail when the table is busy."""
    for write in index_parts(subject):
        script = Script()
        script.run(sql.SQL("BEGIN"))
        script.run(sql.SQL("SET LOCAL lock_timeout = '300ms'"))
        write(script)
        script.run(sql.SQL("COMMIT"))
        yield script.text()


def files_of(sections: Collection[MigrationSection], decisions: Decisions) -> list[tuple[str, list[MigrationSection]]]:
    """Return the sections by schema, one group per file; parents come before their children.

    A schema gets more than one group when tables of two schemas depend on each other.
    """
    waiting = {section.name: section for section in sections}
    schemas_of = {section.name: section.schema for section in sections}
    groups: list[tuple[str, list[MigrationSection]]] = []
    while waiting:
        ready = {name for name in waiting if _parents(name, decisions).isdisjoint(waiting)}
        # Take the schema with the most tables whose parents are done.
        schemas = [schemas_of[name] for name in ready]
        schema = max(sorted(set(schemas)), key=schemas.count)
        group: list[MigrationSection] = []
        while ready := [
            name for name in waiting if schemas_of[name] == schema and _parents(name, decisions).isdisjoint(waiting)
        ]:
            group += [waiting.pop(name) for name in ready]
        groups.append((schema, group))
    return groups


def _parents(name: str, decisions: Decisions) -> set[str]:
    table = decisions.tables.get(name)
    return {table.tenant.parent} if table is not None and isinstance(table.tenant, Through) else set()
