"""Which columns of each declared relation the login may read, and which other roles its policies name."""

from server.catalog.declarations import Table, Through
from server.catalog.tenant_columns import Facts, Tables, parent_key


def granted_columns(table: Table, facts: Facts, tables: Tables) -> tuple[str, ...]:
    """Return the columns to grant to the login, in the table's order.

    These are the declared columns, those that pages are sorted by, the tenant column or the foreign key, the key, the
    columns that foreign keys of declared children refer to, and those that declared security_invoker views use.
    """
    own = facts[table.name]
    wanted = table.read_columns | set(table.key or own.primary_key)
    if table.tenant is not None:
        wanted.add(table.tenant.through if isinstance(table.tenant, Through) else table.tenant)
    wanted |= _children_need(table, facts, tables)
    for name in tables:
        if name in facts and facts[name].invoker:
            wanted |= facts[name].reads.get(table.name, frozenset())
    return tuple(column for column in own.columns if column in wanted)


def owner_columns(table: Table, facts: Facts, tables: Tables) -> dict[str, tuple[str, ...]]:
    """Return the NOLOGIN owners of declared views that read the table, each with the columns it needs.

    The policies of the table and of its parents name these owners too: a policy's subquery runs as the view's owner.
    """
    needed: dict[str, set[str]] = {}
    for name in tables:
        if name in facts and facts[name].bound_owner and table.name in (reads := _reads(name, facts, tables)):
            needed.setdefault(facts[name].owner, set()).update(reads[table.name])
    for child in tables.values():
        if isinstance(child.tenant, Through) and child.tenant.parent == table.name:
            key = parent_key(child, facts)
            for owner in owner_columns(child, facts, tables):
                needed.setdefault(owner, set()).update({key} if key else ())
    # A declared child may not exist yet.
    columns = list(facts[table.name].columns) if table.name in facts else []
    return {owner: tuple(one for one in columns if one in needed[owner]) for owner in sorted(needed)}


def _children_need(table: Table, facts: Facts, tables: Tables) -> set[str]:
    children = (one for one in tables.values() if isinstance(one.tenant, Through) and one.tenant.parent == table.name)
    return {key for child in children if (key := parent_key(child, facts))}


def _reads(view: str, facts: Facts, tables: Tables) -> dict[str, set[str]]:
    """Return the relations and columns that a view reads as its user, also through security_invoker views."""
    found: dict[str, set[str]] = {}
    for name, columns in facts[view].reads.items():
        found.setdefault(name, set()).update(columns)
        if name in tables and name in facts and facts[name].invoker:
            for inner, inner_columns in _reads(name, facts, tables).items():
                found.setdefault(inner, set()).update(inner_columns)
    return found
