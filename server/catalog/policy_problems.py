"""The reasons why declared tables cannot be isolated, each as one line with its remedy."""

from collections.abc import Iterable, Iterator
from typing import Final

from server.catalog.declarations import Table, Through
from server.catalog.facts import ColumnFacts, RelationFacts
from server.catalog.tenant_columns import Facts, Family, Tables, family_of, missing_index, parent_key

_ALLOWED: Final = "text, varchar, uuid, smallint, integer or bigint, or a domain over one"


def problems(tables: Iterable[Table], facts: Facts | None = None, id_type: Family | None = None) -> list[str]:
    """Return the reasons why the declared tables cannot be isolated, each as one line with its remedy.

    Without `facts`, only the declarations are checked; `id_type` is the setting tenancy.id_type.
    """
    listed = list(tables)
    declared = {table.name: table for table in listed}
    found = [problem for name in declared for problem in _repeated(name, listed)]
    for table in declared.values():
        own = obstacles(table, declared, facts, id_type)
        found += own if own or facts is None else _index_problems(table, facts)
    # A problem of a parent is found again for each of its children; report it once.
    return list(dict.fromkeys(found))


def obstacles(table: Table, tables: Tables, facts: Facts | None, id_type: Family | None = None) -> list[str]:
    """Return the problems of one table that policies, grants and indexes cannot solve."""
    found = list(_declared_problems(table, tables))
    if facts is None or found:
        return found
    return relation_problems(table, facts, id_type) or list(_view_problems(table, facts, tables))


def relation_problems(table: Table, facts: Facts, id_type: Family | None = None) -> list[str]:
    """Return the problems that the database has with the policy of one table, except missing indexes."""
    own = facts.get(table.name)
    if own is None:
        return [f"{table.name}: the database has no such table or view; correct the name, or create it"]
    if own.kind not in {"r", "p", "v"}:
        kind = "materialized view" if own.kind == "m" else "foreign table"
        return [f"{table.name}: a {kind} cannot have row level security; declare a table or a view"]
    if isinstance(table.tenant, Through):
        return list(_child_problems(own, table.tenant, parent_key(table, facts), facts))
    return list(_tenant_column_problems(own, table.tenant, id_type) if table.tenant else _owner_missing(table))


def _repeated(name: str, listed: list[Table]) -> Iterator[str]:
    if sum(table.name == name for table in listed) > 1:
        yield (
            f"{name}: it is declared more than once, so two tenants could see a row that has two parents; declare it "
            "once, or give it its own tenant column"
        )


def _owner_missing(table: Table) -> Iterator[str]:
    if (table.tenant is None) != table.shared:
        yield (
            f'{table.name}: must have either tenant or shared; write tenant = "its column", '
            "or shared = true for rows of every tenant"
        )


def _declared_problems(table: Table, tables: Tables) -> Iterator[str]:
    """Yield the problems of the way from a table to its tenant column."""
    first, chain = table.name, [table.name]
    while isinstance(table.tenant, Through):
        child, parent = table.name, table.tenant.parent
        if parent in chain:
            way = " → ".join([*chain, parent])
            yield (
                f"{first}: its parents form a cycle ({way}), and PostgreSQL refuses such policies; give one of these "
                "tables its own tenant column"
            )
            return
        if parent not in tables:
            yield f"{child}: its parent {parent} is not declared; declare it, so that its rows are limited too"
            return
        chain.append(parent)
        table = tables[parent]
        if table.shared:
            yield (
                f"{child}: its parent {parent} is shared, so every tenant would see all rows of it; "
                "write shared = true here too, or name its own tenant column"
            )
            return
    yield from _owner_missing(table)


def _tenant_column_problems(own: RelationFacts, name: str, id_type: Family | None) -> Iterator[str]:
    column = own.columns.get(name)
    if column is None:
        yield f"{own.full_name}: it has no column {name}; correct `tenant`"
    elif (family := family_of(column)) is None:
        yield _refused(own, column, "tenant column")
    elif id_type is not None and family not in {"text", id_type}:
        yield (
            f'{own.full_name}: its tenant column {name} is {column.type}, and tenancy.id_type is "{id_type}"; '
            f'set tenancy.id_type = "{family}"'
        )


def _child_problems(own: RelationFacts, way: Through, key: str | None, facts: Facts) -> Iterator[str]:
    child, parent = own.full_name, facts.get(way.parent)
    if way.through not in own.columns:
        yield f"{child}: it has no column {way.through}; correct `through`"
    elif parent is None:
        yield f"{child}: the database has no table {way.parent}; correct `parent`, or create it"
    elif parent.kind not in {"r", "p"}:
        yield f"{child}: its parent {way.parent} is not a table; name the table that has the rows"
    elif key is None:
        yield f"{child}: its parent {way.parent} has no primary key of one column; name a unique one with `key`"
    elif key not in parent.columns:
        yield f"{child}: its parent {way.parent} has no column {key}; correct `key`"
    elif (key,) not in parent.keys:
        yield (
            f"{child}: the column {key} of {way.parent} is not unique and not null, so a row could belong to parents "
            "of two tenants; name a unique column with `key`, or give the table its own tenant column"
        )
    else:
        yield from _key_problems(own, own.columns[way.through], parent, parent.columns[key])


def _key_problems(own: RelationFacts, foreign: ColumnFacts, parent: RelationFacts, key: ColumnFacts) -> Iterator[str]:
    refused = [(one, column) for one, column in ((own, foreign), (parent, key)) if family_of(column) is None]
    pair = f"{own.full_name}.{foreign.name} and {parent.full_name}.{key.name}"
    if refused:
        yield _refused(*refused[0], "key between parent and child")
    elif family_of(foreign) != family_of(key):
        yield f"{pair} are {foreign.type} and {key.type}, which cannot be compared; give both the same type"
    elif len({foreign.collation, key.collation} - {"", 'pg_catalog."default"'}) > 1:
        yield f"{pair} have different collations, so PostgreSQL cannot compare them; give both the same collation"


def _refused(relation: RelationFacts, column: ColumnFacts, purpose: str) -> str:
    if not column.deterministic:
        return (
            f"{relation.full_name}: its {purpose} {column.name} has a nondeterministic collation, by which different "
            "values are equal; give it a deterministic collation"
        )
    return (
        f"{relation.full_name}: its {purpose} {column.name} is {column.type}, which PostgreSQL does not compare "
        f"exactly and with an index; change it to {_ALLOWED}"
    )


def _view_problems(table: Table, facts: Facts, tables: Tables) -> Iterator[str]:
    for name in sorted(facts[table.name].reads):
        if name not in tables:
            yield f"{table.name}: the view reads {name}, which is not declared; declare it, so that it is limited too"


def _index_problems(table: Table, facts: Facts) -> Iterator[str]:
    if (column := missing_index(table, facts)) is not None:
        yield (
            f"{table.name}: no index begins with {column}, so its queries read the rows of all tenants; "
            f"`tenantgate tools sql {table.name}` prints one"
        )
