"""The migrations of an adoption: the SQL that protects each table, step by step, one table per transaction."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg import sql

from server.administration.steps import STEP
from server.adoption.decisions import Decisions
from server.catalog.declarations import Through
from server.catalog.protection.exposure import Relation, public_privileges, users_of
from server.catalog.protection.grants import revoke_all
from server.catalog.protection.indexes import write_indexes
from server.catalog.protection.script import Script
from server.catalog.protection.subject import Subject
from server.catalog.protection.table import protect_table
from server.catalog.protection.view import protect_view
from server.errors import StartupError


@dataclass(frozen=True, slots=True)
class Section:
    """The steps of one table or view."""

    name: str
    steps: tuple[str, ...]

    @property
    def label(self) -> str:
        """The name on one line, as the marks of its steps have it."""
        return "".join(character if character.isprintable() else " " for character in self.name)

    def text(self) -> str:
        """Return the steps with their marks; raises StartupError when a name would be taken for a mark."""
        if any(line.startswith(STEP) for step in self.steps for line in step.split("\n")):
            raise StartupError(f"a name in the SQL of {self.label} has a line like {STEP!r}; rename what is called so")
        return "\n".join(f"{STEP} {self.label}\n{step.rstrip()}\n" for step in self.steps)


class Protecting:
    """Makes the SQL of tables that are declared together."""

    def __init__(
        self, connection: psycopg.Connection[Any], decisions: Decisions, login: str, kept: Collection[str]
    ) -> None:
        """Take what was decided; `kept` are the tables whose own policies stay for others than the login."""
        self._connection: Final = connection
        self._decisions: Final = decisions
        self._login: Final = login
        self._kept: Final = kept
        self._facts: Final = decisions.database.facts

    def section(self, name: str) -> Section:
        """Return what protects one declared table."""
        subject = self._subject(name)
        if subject.own.kind == "v":
            return Section(name, (protect_view(subject).text(),))
        return Section(name, (*_index_steps(subject), protect_table(subject, indexes=False).text()))

    def out_of_reach(self, name: str) -> Section | None:
        """Return what takes a relation that is not declared out of the login's reach; None when it is out already.

        The login may use the schemas of the declared tables, and so it could read what PUBLIC can.
        """
        relation = self._decisions.database.relations[name].relation
        if not public_privileges(self._connection, relation) and not self._has_grants(relation):
            return None
        any_table = next(iter(self._decisions.tables))
        script = Script()
        script.say(f"{name} is not declared, and {self._login} could read it by a grant of its own or of PUBLIC.")
        script.begin()
        revoke_all(script, self._subject(any_table), relation)
        script.run(sql.SQL("COMMIT"))
        return Section(name, (script.text(),))

    def _subject(self, name: str) -> Subject:
        tables = self._decisions.tables
        return Subject(
            self._connection, tables[name], tables, self._facts, self._login, keeps_policies=name in self._kept
        )

    def _has_grants(self, relation: Relation) -> bool:
        return self._login in users_of(self._connection, relation, []).granted


def _index_steps(subject: Subject) -> Iterator[str]:
    """Yield the step that creates what is missing, in a transaction that gives up when the table is busy."""
    indexes = Script()
    write_indexes(indexes, subject)
    if text := indexes.text().strip():
        script = Script()
        script.run(sql.SQL("BEGIN"))
        script.run(sql.SQL("SET LOCAL lock_timeout = '300ms'"))
        script.add(text)
        script.run(sql.SQL("COMMIT"))
        yield script.text()


def files_of(sections: Iterable[Section], decisions: Decisions) -> list[tuple[str, list[Section]]]:
    """Return the sections by schema, one group for each file; parents come before their children.

    A schema has two groups when its tables need another schema's, and that one needs its own.
    """
    waiting = {section.name: section for section in sections}
    groups: list[tuple[str, list[Section]]] = []
    while waiting:
        ready = {name for name in waiting if _parents(name, decisions).isdisjoint(waiting)}
        # The schema with the most tables that can come now.
        schemas = [name.partition(".")[0] for name in ready]
        schema = max(sorted(set(schemas)), key=schemas.count)
        group: list[Section] = []
        while ready := [
            name
            for name in waiting
            if name.partition(".")[0] == schema and _parents(name, decisions).isdisjoint(waiting)
        ]:
            group += [waiting.pop(name) for name in ready]
        groups.append((schema, group))
    return groups


def _parents(name: str, decisions: Decisions) -> set[str]:
    table = decisions.tables.get(name)
    return {table.tenant.parent} if table is not None and isinstance(table.tenant, Through) else set()
