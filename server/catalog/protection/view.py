"""The SQL that protects a view, which reads its tables as the caller or as an owner to whom their policies apply."""

from typing import Final

from psycopg import sql

from server.catalog.protection.grants import grant_columns, revoke_all, write_grants
from server.catalog.protection.script import Script
from server.catalog.protection.subject import Subject
from server.catalog.protection.table import require_protected
from server.catalog.readable import granted_columns

# The first PostgreSQL version with security_invoker for views.
_INVOKER_VERSION: Final = 150_000


def protect_view(subject: Subject) -> Script:
    """Return the SQL of a view for its present way of protection; suggest both ways when it has none."""
    script = Script()
    script.say(
        f"Protects the view {subject.table.name}, which reads {', '.join(sorted(subject.own.reads)) or 'no table'}. A "
        "view has no policies: those of its tables hold when it reads them as the caller or as an owner that they name."
    )
    if subject.own.bound_owner:
        _protect(script, subject, subject.own.owner)
    elif subject.own.invoker or _may_become_invoker(subject):
        _protect(script, subject, subject.login)
    else:
        _write_both_ways(script, subject)
    return script


def _may_become_invoker(subject: Subject) -> bool:
    return subject.connection.info.server_version >= _INVOKER_VERSION and not _other_readers(subject)


def _other_readers(subject: Subject) -> tuple[str, ...]:
    return tuple(role for role in subject.users().granted if role != subject.own.owner)


def _protect(script: Script, subject: Subject, reader: str) -> None:
    """Add the SQL of a view that reads its tables as `reader`: the login itself, or the view's owner."""
    script.gap()
    script.begin()
    script.gap()
    script.say("Its tables come first: until then the view would show the rows of all tenants.")
    require_protected(script, _tables(subject), [reader])
    if reader == subject.login:
        script.say(f"It reads its tables as {subject.login}, which therefore needs the columns that the view touches.")
        _warn_of_hidden(script, subject)
        script.run(sql.SQL("ALTER VIEW {} SET (security_invoker = true)").format(subject.name))
        for grant in _base_grants(subject, subject.login):
            script.run(grant)
    else:
        script.say(f"It reads its tables as its owner {reader}, whom their policies bind as well.")
        if others := _other_readers(subject):
            script.say(f"So it shows nothing to those who have no tenant context: {', '.join(others)}.")
    write_grants(script, subject)
    script.gap()
    script.run(sql.SQL("COMMIT"))


def _base_grants(subject: Subject, role: str) -> list[sql.Composed]:
    """Return the grants on all columns that the view uses."""
    return [
        grant_columns(
            sql.Identifier(*name.split(".")), [one for one in subject.facts[name].columns if one in columns], role
        )
        for name, columns in sorted(subject.own.reads.items())
        if columns
    ]


def _tables(subject: Subject) -> list[str]:
    return sorted(name for name in subject.own.reads if subject.facts[name].kind in {"r", "p"})


def _write_both_ways(script: Script, subject: Subject) -> None:
    """Suggest both ways as comments; only the revocations are run."""
    readers = ", ".join(_other_readers(subject))
    script.gap()
    script.say(
        f"DECIDE FIRST. It reads its tables as {subject.own.owner}, whom no policy binds, so it shows the rows of all "
        f"tenants to everybody who may read it, and {subject.login} gets no grant here."
    )
    if readers:
        script.say(
            f"These roles read it too, and either way changes what they see: {readers}. If they need it, leave it as "
            "it is, and declare a second view with the same query in its place."
        )
    script.say(
        "One way, from PostgreSQL 15 on: it reads its tables as the caller, who needs a grant on each column that it "
        "touches."
    )
    script.suggest(sql.SQL("ALTER VIEW {} SET (security_invoker = true)").format(subject.name))
    script.say("The other way, in every version: an owner that cannot log in, and that the tables' policies name.")
    _suggest_owner(script, subject)
    script.gap()
    script.begin()
    revoke_all(script, subject, subject.relation)
    script.run(sql.SQL("COMMIT"))


def _suggest_owner(script: Script, subject: Subject) -> None:
    """Suggest a NOLOGIN role as the owner of the view; the login then needs no grant on its tables."""
    owner = f"{subject.login}_views"
    script.suggest(sql.SQL("CREATE ROLE {} NOLOGIN NOINHERIT").format(sql.Identifier(owner)))
    for grant in _base_grants(subject, owner):
        script.suggest(grant)
    schema = sql.Identifier(subject.own.schema)
    script.suggest(sql.SQL("GRANT USAGE, CREATE ON SCHEMA {} TO {}").format(schema, sql.Identifier(owner)))
    script.suggest(sql.SQL("ALTER VIEW {} RESET (security_invoker)").format(subject.name))
    script.suggest(sql.SQL("ALTER VIEW {} OWNER TO {}").format(subject.name, sql.Identifier(owner)))
    script.suggest(sql.SQL("REVOKE CREATE ON SCHEMA {} FROM {}").format(schema, sql.Identifier(owner)))
    tables = ", ".join(sorted(subject.own.reads))
    script.say(f"Then run `tenantgate tools sql` for {tables}, and again for {subject.table.name}.")


def _warn_of_hidden(script: Script, subject: Subject) -> None:
    """Say which columns of its tables the login can read only because the view uses them."""
    hidden = [
        f"{name}.{column}"
        for name, columns in sorted(subject.own.reads.items())
        for column in sorted(columns - set(_declared(subject, name)))
    ]
    if hidden:
        script.say(
            f"DECIDE. So SQL run as {subject.login} can read these in the table itself, though they are not declared: "
            f"{', '.join(hidden)}. If they are to stay hidden, remove them from the view, or choose the other way:"
        )
        _suggest_owner(script, subject)


def _declared(subject: Subject, name: str) -> tuple[str, ...]:
    """Return the columns of a relation that the login may read without this view."""
    tables = {other: table for other, table in subject.tables.items() if other != subject.table.name}
    return granted_columns(subject.tables[name], subject.facts, tables)
