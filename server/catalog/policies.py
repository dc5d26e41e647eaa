"""The policy of each declared table: its condition, and how PostgreSQL shows this condition (docs/database.md)."""

import re
from collections.abc import Mapping
from typing import Final, LiteralString

from psycopg import sql

from server.catalog.declarations import Table, Through
from server.catalog.facts import ColumnFacts, RelationFacts
from server.catalog.policy_problems import problems as problems  # noqa: PLC0414  # offered here too
from server.catalog.policy_problems import relation_problems
from server.catalog.readable import granted_columns as granted_columns  # noqa: PLC0414  # offered here too
from server.catalog.tenant_columns import Facts, Family, family_of, parent_key
from server.errors import StartupError

# A cast to the column's own length or domain could cut or refuse an id of another tenant; these casts never do. An id
# outside the column's range has no rows: PostgreSQL compares integers of different sizes without a cast of the column.
_CASTS: Final[Mapping[Family, LiteralString]] = {"text": "", "uuid": "::uuid", "integer": "::bigint"}
# The subquery makes the function run once per query instead of once per row.
_TENANT: Final = sql.SQL("(SELECT tenancy.current_tenant())")
_SHOWN: Final = "( SELECT tenancy.current_tenant() AS current_tenant)"


def expression(table: Table, facts: Facts) -> sql.Composed:
    """Return the condition of `table`'s policies; raise StartupError when there is none that isolates it.

    `facts` holds the table and its parent.
    """
    own = _table_with_policy(table, facts)
    if isinstance(table.tenant, Through):
        # Every name is qualified: an unqualified name that is missing in the parent would mean the child's column.
        return sql.SQL("{} = ANY (ARRAY(SELECT {} FROM {} p))").format(
            sql.Identifier(own.name, table.tenant.through),
            sql.Identifier("p", parent_key(table, facts) or ""),
            sql.Identifier(*table.tenant.parent.split(".")),
        )
    if table.tenant is None:
        return sql.SQL("{} IS NOT NULL").format(_TENANT)
    cast = _CASTS[family_of(own.columns[table.tenant]) or "text"]
    return sql.SQL("{} = {}{}").format(sql.Identifier(own.name, table.tenant), _TENANT, sql.SQL(cast))


def expected_text(table: Table, facts: Facts) -> str:
    """Return the text of pg_get_expr() for `expression`, with each run of white space as one space.

    This requires `search_path` = pg_catalog and `quote_all_identifiers` = off. tests/test_policy_texts.py compares it
    with real servers for every form and type.
    """
    own = _table_with_policy(table, facts)
    if isinstance(table.tenant, Through):
        parent = facts[table.tenant.parent]
        foreign, key = own.columns[table.tenant.through], parent.columns[parent_key(table, facts) or ""]
        # PostgreSQL renames the alias when the child table has the same name.
        alias = "p_1" if own.name == "p" else "p"
        keys = f"ARRAY( SELECT {alias}.{key.quoted} FROM {parent.quoted} {alias})"
        array = f"({keys})::{_operand(key)}[]" if _is_shown_with_cast(key) else keys
        return collapsed(f"({_shown(foreign)} = ANY ({array}))")
    if table.tenant is None:
        return f"({_SHOWN} IS NOT NULL)"
    column = own.columns[table.tenant]
    cast = _CASTS[family_of(column) or "text"]
    return collapsed(f"({_shown(column)} = {f'({_SHOWN}){cast}' if cast else _SHOWN})")


def collapsed(text: str) -> str:
    """Return the text with each run of white space as one space."""
    return re.sub(r"\s+", " ", text)


def _operand(column: ColumnFacts) -> str:
    """Return the type whose operators PostgreSQL uses for the column."""
    return "text" if family_of(column) == "text" else column.base


def _is_shown_with_cast(column: ColumnFacts) -> bool:
    return column.is_domain or column.base != _operand(column)


def _shown(column: ColumnFacts) -> str:
    return f"({column.quoted})::{_operand(column)}" if _is_shown_with_cast(column) else column.quoted


def _table_with_policy(table: Table, facts: Facts) -> RelationFacts:
    found = relation_problems(table, facts)
    if not found and facts[table.name].kind == "v":
        found = [f"{table.name} is a view, and views have no policies; the tables that it reads have them"]
    if found:
        raise StartupError("; ".join(found))
    return facts[table.name]
