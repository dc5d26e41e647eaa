"""Whether each declared relation can be isolated: it exists, with the declared columns, types, keys and indexes."""

from collections.abc import Iterator

from server.catalog.comparison import differences
from server.catalog.declarations import Table
from server.catalog.protection.exposure import Relation
from server.catalog.protection.indexes import index_statement, required_index
from server.catalog.tenant_columns import missing_index
from server.doctor.declared import Declared
from server.doctor.offender import Offender


def relation_offenders(declared: Declared) -> Iterator[Offender]:
    """Yield each declared relation that differs from its declaration, or that cannot be isolated."""
    for name, table in declared.tables.items():
        facts = declared.facts.get(name)
        said = [*differences(table, facts), *(_without_name(name, one) for one in declared.obstacles[name])]
        if facts is None:
            # Both lists report the missing relation; keep one problem.
            said = said[:1]
        for problem in dict.fromkeys(said):
            what, _, remedy = problem.rpartition("; ")
            yield Offender(name, what or remedy, remedy if what else f"correct the declaration of {name}")
        if not declared.obstacles[name] and (column := missing_index(table, declared.facts)) is not None:
            yield Offender(
                name,
                f"no index begins with {column}, so its queries read the rows of all tenants",
                _index(declared, table),
            )


def _without_name(name: str, problem: str) -> str:
    return problem.removeprefix(f"{name}: ")


def _index(declared: Declared, table: Table) -> str:
    own = declared.facts[table.name]
    relation = Relation(0, own.schema, own.name)
    how = "CREATE INDEX" if own.kind == "p" else "CREATE INDEX CONCURRENTLY"
    return f"{index_statement(relation, required_index(table, own), how).as_string()};"
