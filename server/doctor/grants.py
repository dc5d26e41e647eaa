"""The grants of each declared relation: only the columns that the login needs, and nothing through PUBLIC."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from server.catalog.declarations import Table
from server.catalog.protection.exposure import relation_of, users_of
from server.doctor.declared import Declared
from server.doctor.offender import Offender
from server.doctor.reach import Grant, grantees, said

_USABLE: Final[LiteralString] = """
SELECT nspname::text FROM pg_catalog.pg_namespace
WHERE nspname = ANY ($1::text[]) AND has_schema_privilege($2::name, oid, 'USAGE')
"""


def grant_offenders(connection: psycopg.Connection[Any], declared: Declared) -> Iterator[Offender]:
    """Yield each declared relation where the login may read more or fewer columns than it needs."""
    schemas = sorted({declared.facts[table.name].schema for table in declared.present})
    usable = {row[0] for row in connection.execute(_USABLE, (schemas, declared.login)).fetchall()}
    for table in declared.isolable:
        schema = declared.facts[table.name].schema
        if schema not in usable:
            usage = sql.SQL("GRANT USAGE ON SCHEMA {} TO {};").format(
                sql.Identifier(schema), sql.Identifier(declared.login)
            )
            yield Offender(table.name, f"{declared.login} may not use its schema {schema}", usage.as_string())
        yield from _beyond(connection, declared, table)
        needed = declared.needed(table)
        yield from _missing(declared, table, declared.login, needed, declared.reach.get(table.name, ()))
        for owner, columns in declared.owners[table.name].items():
            grants = declared.reach_of_owners[owner].get(table.name, ())
            yield from _missing(declared, table, owner, columns, grants)


def _beyond(connection: psycopg.Connection[Any], declared: Declared, table: Table) -> Iterator[Offender]:
    """Yield every grant by which the login may read more than the columns it needs."""
    grants = declared.reach.get(table.name, ())
    whole = [grant for grant in grants if grant.column is None]
    if whole:
        how = said(whole, declared.login)
        yield Offender(
            table.name,
            f"{declared.login} may read every column{how}, also those that are not declared",
            _narrowed(connection, declared, table, whole),
        )
    needed = declared.needed(table)
    for grant in grants:
        if grant.column is None or (grant.column in needed and grant.grantee == declared.login and not grant.grantable):
            continue
        is_own = grant.column in needed and grant.grantee == declared.login
        form: LiteralString = "REVOKE GRANT OPTION FOR" if is_own else "REVOKE"
        revoke = sql.SQL("{} SELECT ({}) ON {} FROM {};").format(
            sql.SQL(form), sql.Identifier(grant.column), declared.relation(table.name), grantees([grant])
        )
        yield Offender(table.name, _excess(declared, grant, needed), revoke.as_string())


def _excess(declared: Declared, grant: Grant, needed: Sequence[str]) -> str:
    if grant.column not in needed:
        how = said([grant], declared.login)
        return f"{declared.login} may read its column {grant.column}{how}, which is not declared"
    if grant.grantee == declared.login:
        return f"{declared.login} may pass its column {grant.column} on to others"
    return f"its column {grant.column} is granted to {grant.grantee or 'PUBLIC'}, and not only to {declared.login}"


def _narrowed(connection: psycopg.Connection[Any], declared: Declared, table: Table, whole: Sequence[Grant]) -> str:
    """Return the SQL that revokes a grant on the whole relation and keeps the privileges of other roles."""
    relation, login = declared.relation(table.name), sql.Identifier(declared.login)
    steps: list[sql.Composed] = []
    if any(grant.grantee is None for grant in whole):
        bound = declared.bound(table.name)
        others = users_of(connection, relation_of(connection, table.name), bound).by_public
        if others:
            named = sql.SQL(", ").join(map(sql.Identifier, others))
            steps.append(sql.SQL("GRANT SELECT ON {} TO {};").format(relation, named))
    steps.append(sql.SQL("REVOKE SELECT ON {} FROM {};").format(relation, grantees(whole)))
    if any(grant.grantee == declared.login for grant in whole):
        # REVOKE also removes the grants on columns.
        needed = declared.needed(table)
        columns = sql.SQL(", ").join(map(sql.Identifier, needed))
        steps.append(sql.SQL("GRANT SELECT ({}) ON {} TO {};").format(columns, relation, login))
    return " ".join(step.as_string() for step in steps)


def _missing(
    declared: Declared, table: Table, role: str, needed: Sequence[str], grants: Sequence[Grant]
) -> Iterator[Offender]:
    held = {grant.column for grant in grants if grant.grantee == role}
    missing = [column for column in needed if column not in held]
    # A grant on the whole relation is reported as too much; that remedy also grants the columns.
    if missing and None not in held:
        columns = sql.SQL(", ").join(map(sql.Identifier, missing))
        grant = sql.SQL("GRANT SELECT ({}) ON {} TO {};").format(
            columns, declared.relation(table.name), sql.Identifier(role)
        )
        yield Offender(table.name, f"{role} may not read {', '.join(missing)}", grant.as_string())
