"""Relations that the login may read though nobody declared them: each is an offence, unless accepted by name."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

from psycopg import sql

from server.doctor.offender import Offender
from server.doctor.reach import Grant, grantees, said

# Their policies and grants have checks of their own.
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
    """Whether the settings accept it and only PUBLIC may read it: that cannot be revoked from one login alone."""
    return name in accepted and all(grant.grantee is None for grant in grants)


def undeclared(
    reach: Mapping[str, Sequence[Grant]],
    declared: Collection[str],
    parts: Mapping[str, str],
    accepted: Collection[str],
    login: str,
) -> Iterator[Offender]:
    """Yield each relation in reach that is neither declared, nor the core's, nor accepted."""
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
    return f"{_KINDS[grants[0].kind]} that {login} may read{how} and that is not declared"


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


def acceptance_notices(reach: Mapping[str, Sequence[Grant]], accepted: Collection[str]) -> Iterator[str]:
    """Yield a sentence for each relation that the settings accept; they are to be known every time."""
    for name in accepted:
        grants = reach.get(name, ())
        if not grants:
            yield f"{name} is accepted by the settings and is not in reach; take it out of database.accepted_relations"
        elif is_accepted(name, grants, accepted):
            yield f"{name} is accepted by the settings: PUBLIC may read it, and no policy of a tenant limits it"
