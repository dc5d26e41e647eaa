"""The steps that give a child table its own tenant column, for tenants with very many parent rows."""

from dataclasses import replace
from typing import Any

import psycopg

from server.catalog.declarations import Table
from server.catalog.protection.exposure import relation_of
from server.catalog.protection.filling import backfill_steps, column_step, trigger_step, unique_steps
from server.catalog.protection.indexes import drop_unfinished, index_name, index_statement, required_index
from server.catalog.protection.keeping import reference_steps, required_steps
from server.catalog.protection.script import Script
from server.catalog.protection.subject import Subject, subject_of
from server.catalog.protection.table import protect_table
from server.catalog.protection.way import Way
from server.catalog.tenant_columns import Family, Tables


def own_column_steps(
    connection: psycopg.Connection[Any], table: Table, tables: Tables, login: str, id_type: Family | None = None
) -> tuple[str, ...]:
    """Return the steps to an own tenant column of a child table: SQL texts, to be run separately in this order.

    The parameters are those of protection_sql. A step that failed can be run again. Raises StartupError when the table
    is not a child table, or its parent has no tenant column yet.
    """
    way = Way(subject_of(connection, table, tables, login, id_type))
    after = _afterwards(way)
    steps = (
        _first(way),
        *unique_steps(way),
        trigger_step(way),
        *backfill_steps(way),
        *_index(way, after),
        *required_steps(way),
        *reference_steps(way),
        _policies(way, after),
    )
    return tuple(step.text() for step in steps)


def _first(way: Way) -> Script:
    script = Script()
    script.say(
        f"The way to an own tenant column for {way.subject.table.name}, for tenants with more than about 10,000 rows "
        f"in {way.parent.full_name}. Afterwards an insert takes about twice its time: 2.4 s instead of 1.0 s for 10^5."
    )
    script.say(
        "Run the steps in this order, each by itself and outside a transaction, and stop at the first error: psql -v "
        "ON_ERROR_STOP=1 -f does both. A step that failed can be run again. The figures are of one small machine."
    )
    script.gap()
    script.add(column_step(way).text())
    return script


def _index(way: Way, after: Subject) -> list[Script]:
    relation, index = relation_of(way.subject.connection, after.table.name), required_index(after.table, after.own)
    if way.tenant.name in way.subject.own.leads:
        return []
    steps: list[Script] = []
    unfinished, script = Script(), Script()
    if drop_unfinished(unfinished, after.connection, relation.schema, index_name(relation, index.keys)):
        steps.append(unfinished)
    script.say("5. The index by which a tenant's rows are found. Nobody waits; 1 s per million rows.")
    script.run(index_statement(relation, index, "CREATE INDEX CONCURRENTLY"))
    return [*steps, script]


def _afterwards(way: Way) -> Subject:
    """Return the subject as if the column already existed and were declared."""
    subject, name = way.subject, way.tenant.name
    table = subject.table.model_copy(update={"tenant": name})
    column = subject.own.columns.get(name, way.tenant)
    own = replace(subject.own, columns={**subject.own.columns, name: column}, leads=subject.own.leads | {name})
    tables, facts = {**subject.tables, table.name: table}, {**subject.facts, table.name: own}
    return replace(subject, table=table, tables=tables, facts=facts)


def _policies(way: Way, after: Subject) -> Script:
    script = Script()
    script.say(
        "8. The policies by the new column. In the same moment declare it, in place of the way through the parent: "
        f'tenant = "{way.tenant.name}".'
    )
    script.gap()
    script.add(protect_table(after, indexes=False).text())
    return script
