"""The grants of a declared relation: declared columns for the login, nothing through PUBLIC or a partition."""

from collections.abc import Iterable

from psycopg import sql

from server.catalog.protection.exposure import Relation, default_grants, full_name, parts_of, public_privileges
from server.catalog.protection.script import Script, listed
from server.catalog.protection.subject import Subject


def write_grants(script: Script, subject: Subject) -> None:
    """Add the revocations, then the grants on columns."""
    login = sql.Identifier(subject.login)
    script.gap()
    script.say(
        f"Grants come last. A grant on the whole relation, to {subject.login} or to PUBLIC, would give every column."
    )
    revoke_all(script, subject, subject.relation)
    # A declared partition has its own policies and grants.
    parts = [one for one in parts_of(subject.connection, subject.relation) if full_name(one) not in subject.tables]
    if parts:
        script.say("The policies do not bind a query of a partition or child itself, so neither may read one directly.")
        for part in parts:
            revoke_all(script, subject, part)
        _revoke_defaults(script, subject)
    script.say("Only what is declared, the tenant column or the foreign key, and the keys.")
    script.run(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(subject.own.schema), login))
    script.run(grant_columns(subject.name, subject.columns, subject.login))
    if subject.owners:
        script.say("What views read as their owners, whom the policies bind as well.")
    for owner, columns in subject.owners.items():
        if columns:
            script.run(grant_columns(subject.name, columns, owner))


def grant_columns(name: sql.Identifier, columns: Iterable[str], role: str) -> sql.Composed:
    """Return the grant of SELECT on one or more columns."""
    return sql.SQL("GRANT SELECT ({}) ON {} TO {}").format(listed(list(columns)), name, sql.Identifier(role))


def revoke_all(script: Script, subject: Subject, relation: Relation) -> None:
    """Revoke every grant from the login and PUBLIC; roles that had PUBLIC's privileges get them by name."""
    privileges = public_privileges(subject.connection, relation)
    users = subject.users(relation).by_public
    if privileges and users:
        script.say("Nothing can be taken from one member of PUBLIC alone; so today's roles get it by name.")
        for privilege, columns in privileges:
            what = sql.SQL("{} ({})").format(sql.SQL(privilege), listed(columns)) if columns else sql.SQL(privilege)
            script.run(sql.SQL("GRANT {} ON {} TO {}").format(what, relation.identifier, listed(users)))
    login = sql.Identifier(subject.login)
    script.run(sql.SQL("REVOKE ALL ON {} FROM PUBLIC, {}").format(relation.identifier, login))


def _revoke_defaults(script: Script, subject: Subject) -> None:
    for creator, schema, by_public in default_grants(subject.connection, subject.own.schema, subject.login):
        grantee = sql.SQL("PUBLIC") if by_public else sql.Identifier(subject.login)
        place = sql.SQL(" IN SCHEMA {}").format(sql.Identifier(schema)) if schema else sql.SQL("")
        statement = sql.SQL("ALTER DEFAULT PRIVILEGES FOR ROLE {}{} REVOKE ALL ON TABLES FROM {}").format(
            sql.Identifier(creator), place, grantee
        )
        if by_public:
            script.say(
                f"DECIDE. PUBLIC, and so {subject.login}, gets a grant on every table that {creator} creates from now "
                "on, new partitions with the rows of all tenants included. Grant later tables by name, and run:"
            )
            script.suggest(statement)
        else:
            script.say(f"Otherwise {subject.login} could read each new partition that {creator} creates.")
            script.run(statement)
