"""Relations that the login may read although they are not declared: each is an offender, unless accepted by name."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import psycopg
from psycopg import sql

from server.doctor.offender import Offender
from server.doctor.reach import Grant, grantees, said

# Other checks cover the policies and grants of these.
CORE: Final = frozenset({"tenancy.tenants", "tenancy.user_tenants"})
_KINDS: Final[Mapping[str, str]] = {
    "r": "a table",
    "p": "a partitioned table",
    "v": "a view",
    "m": "a materialized view, which cannot have row level security,",
    "f": "a foreign table, which cannot have row level security,",
    "S": "a sequence",
}
_DECLARABLE: Final = frozenset({"r", "p", "v"})


def is_accepted(name: str, grants: Sequence[Grant], accepted: Collection[str]) -> bool:
    """Whether the settings accept it and only PUBLIC's grant allows it, which cannot be revoked from one login."""
    return name in accepted and all(grant.grantee is None for grant in grants)


def undeclared(
    reach: Mapping[str, Sequence[Grant]],
    declared: Collection[str],
    parts: Mapping[str, str],
    accepted: Collection[str],
    login: str,
) -> Iterator[Offender]:
    """Yield each relation that the login may read, except declared, core and accepted ones."""
    for name, grants in reach.items():
        if name not in declared and name not in CORE and not is_accepted(name, grants, accepted):
            yield Offender(name, _problem(name, grants, parts, login), _remedy(name, grants, parts))


def _problem(name: str, grants: Sequence[Grant], parts: Mapping[str, str], login: str) -> str:
    how = said(grants, login)
    if name in parts:
        return (
            f"{login} may read it{how}, and it belongs to {parts[name]}, whose policies do not bind a query of it "
            "alone: the rows of all tenants"
        )
    return f"is {_KINDS[grants[0].kind]} that {login} may read{how} and that is not declared"


def _remedy(name: str, grants: Sequence[Grant], parts: Mapping[str, str]) -> str:
    what = sql.SQL("SEQUENCE" if grants[0].kind == "S" else "TABLE")
    relation = sql.Identifier(grants[0].schema, grants[0].name)
    revoke = sql.SQL("REVOKE ALL ON {} {} FROM {};").format(what, relation, grantees(grants)).as_string()
    others: list[str] = []
    if grants[0].kind in _DECLARABLE and name not in parts:
        others.append("declare it")
    if all(grant.grantee is None for grant in grants):
        others.append("if it cannot be revoked, name it in database.accepted_relations")
    return f"{revoke} -- or {', or '.join(others)}" if others else revoke


def acceptance_notices(
    connection: psycopg.Connection[Any], reach: Mapping[str, Sequence[Grant]], accepted: Collection[str]
) -> Iterator[str]:
    """Yield a sentence for each relation that the settings accept, so that every report shows them.

    Requires an open transaction without a tenant context.
    """
    for name in accepted:
        grants = reach.get(name, ())
        if not grants:
            yield f"{name} is accepted by the settings and is not in reach; remove it from database.accepted_relations"
        elif is_accepted(name, grants, accepted):
            shown = _shown_to_everybody(connection, grants[0])
            yield f"{name} is accepted by the settings: PUBLIC may read it, and {shown} without a tenant context"


def _shown_to_everybody(connection: psycopg.Connection[Any], grant: Grant) -> str:
    query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(grant.schema, grant.name))
    try:
        with connection.transaction(force_rollback=True):
            shows = connection.execute(query).fetchall()[0][0]
    except psycopg.Error:
        if connection.closed:
            raise
        return "what it shows could not be checked"
    return "it shows rows" if shows else "it shows no row"
