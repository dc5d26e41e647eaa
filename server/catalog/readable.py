"""Which columns the login may read of each declared relation, and for which other roles its policies are."""

from server.catalog.declarations import Table, Through
from server.catalog.tenant_columns import Facts, Tables, parent_key


def granted_columns(table: Table, facts: Facts, tables: Tables) -> tuple[str, ...]:
    """Return the columns that the login is granted, in the table's order.

    These are the declared ones, the tenant column or the foreign key, the key, what the foreign keys of declared
    children name, and what declared security_invoker views touch.
    """
    own = facts[table.name]
    wanted = {table.column_of(name) for name in table.columns} | set(table.key or own.primary_key)
    if table.tenant is not None:
        wanted.add(table.tenant.through if isinstance(table.tenant, Through) else table.tenant)
    wanted |= _children_need(table, facts, tables)
    for name in tables:
        if name in facts and facts[name].invoker:
            wanted |= facts[name].reads.get(table.name, frozenset())
    return tuple(column for column in own.columns if column in wanted)


def owner_columns(table: Table, facts: Facts, tables: Tables) -> dict[str, tuple[str, ...]]:
    """Return the NOLOGIN owners of declared views whose queries reach the table, each with the columns it needs.

    The policies of the table are for them too, and for its parents: a policy's sub-select is run as the view's owner.
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
    # A child may be declared that does not exist yet.
    columns = list(facts[table.name].columns) if table.name in facts else []
    return {owner: tuple(one for one in columns if one in needed[owner]) for owner in sorted(needed)}


def _children_need(table: Table, facts: Facts, tables: Tables) -> set[str]:
    children = (one for one in tables.values() if isinstance(one.tenant, Through) and one.tenant.parent == table.name)
    return {key for child in children if (key := parent_key(child, facts))}


def _reads(view: str, facts: Facts, tables: Tables) -> dict[str, set[str]]:
    """Return what is read as the view's own user: its relations, and those behind security_invoker views among them."""
    found: dict[str, set[str]] = {}
    for name, columns in facts[view].reads.items():
        found.setdefault(name, set()).update(columns)
        if name in tables and name in facts and facts[name].invoker:
            for inner, inner_columns in _reads(name, facts, tables).items():
                found.setdefault(inner, set()).update(inner_columns)
    return found
