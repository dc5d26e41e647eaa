"""A database in which tables are protected by the SQL that is printed, and read as the login with real contexts."""

from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, LiteralString
from urllib.parse import urlsplit

import psycopg

from server.administration.key_table import put_key
from server.administration.migrations import migrate
from server.catalog.declarations import Table
from server.catalog.facts import read_facts
from server.catalog.protection import own_column_steps, protection_sql
from server.database.context_keys import new_context_key
from server.database.statement import Statement

KEY = new_context_key("k1")
LOGIN = "prot_login"
PASSWORD = "of-a-test"
# The owner of the tables; who reads, writes, reads by a group, reads everything, bypasses policies, and owns views.
ROLES = {
    "prot_owner": "NOLOGIN",
    "prot_reader": "LOGIN",
    "prot_writer": "LOGIN",
    "prot_group": "NOLOGIN",
    "prot_member": "LOGIN IN ROLE prot_group",
    "prot_dumper": "LOGIN IN ROLE pg_read_all_data",
    "prot_free": "LOGIN BYPASSRLS",
    "prot_idle": "LOGIN",
    "prot_views": "NOLOGIN NOINHERIT",
}


def declared(name: str, **said: Any) -> Table:
    columns = {"note": {"type": "text"}}
    return Table.model_validate({"name": name, "scope": "s:read", "columns": columns, **said})


@dataclass(frozen=True)
class Place:
    """The database; everything that a test creates is in the schema `shop`."""

    admin: psycopg.Connection[Any]
    login: psycopg.Connection[Any]

    def run(self, *texts: str) -> None:
        for text in texts:
            self.admin.execute(text.encode())

    def rows(self, text: str, role: str | None = None) -> list[tuple[Any, ...]]:
        """Return what a query shows to a role; None is the administrator."""
        with self.admin.transaction(force_rollback=True):
            if role:
                self.admin.execute(f"SET LOCAL ROLE {role}".encode())
            return self.admin.execute(text.encode()).fetchall()

    def works(self, text: str, role: str) -> int:
        """Run a statement as a role, undo it, and return the number of rows."""
        with self.admin.transaction(force_rollback=True):
            self.admin.execute(f"SET LOCAL ROLE {role}".encode())
            return self.admin.execute(text.encode()).rowcount

    def seen(self, text: LiteralString, tenant: str) -> list[Any]:
        """Return the values of the column `note` that a query shows to the login with a tenant's context."""
        statement = Statement("seen", text, dict[str, Any])
        sign = partial(KEY.sign, person=("x", "y"), tier="", expiry_s=4_000_000_000, digest=statement.digest)
        row = self.login.execute(statement.sent, (sign(tenant=tenant),)).fetchall()[0]
        return sorted(one["note"] for one in statement.read(row[1]))

    def sql(self, tables: dict[str, Table], name: str) -> str:
        return protection_sql(self.admin, tables[name], tables, LOGIN)

    def protect(self, tables: dict[str, Table], *names: str) -> None:
        """Print and run the SQL of each table; of all, in the order in which they are declared."""
        for name in names or tables:
            self.run(self.sql(tables, name))

    def steps(self, tables: dict[str, Table], name: str) -> tuple[str, ...]:
        return own_column_steps(self.admin, tables[name], tables, LOGIN)

    def policies(self, name: str) -> dict[str, list[str]]:
        """Return the roles of each policy of a table."""
        text = (
            "SELECT polname, ARRAY(SELECT pg_get_userbyid(x)::text FROM unnest(polroles) x ORDER BY 1) FROM pg_policy"
            " WHERE polrelid = $1::regclass"
        )
        return dict(self.admin.execute(text, (name,)).fetchall())

    def facts(self, tables: dict[str, Table]):
        return read_facts(self.admin, tables)


def _within(url: str, name: str, user: str | None = None) -> str:
    parts = urlsplit(url)
    host = f"{user}:{PASSWORD}@{parts.hostname}:{parts.port}" if user else parts.netloc
    return parts._replace(netloc=host, path=f"/{name}").geturl()


@contextmanager
def protected_database(superuser_url: str):
    """Make the database and the roles; yield the Place."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE protected")
        for role, attributes in ROLES.items():
            connection.execute(f"CREATE ROLE {role} {attributes}".encode())
        try:
            url = _within(superuser_url, "protected")
            migrate(url, lambda _step: None, login=LOGIN)
            connection.execute(f"ALTER ROLE {LOGIN} PASSWORD '{PASSWORD}'".encode())
            with psycopg.connect(url) as keys:
                put_key(keys, KEY)
            with (
                psycopg.connect(url, autocommit=True, cursor_factory=psycopg.RawCursor) as admin,
                psycopg.connect(
                    _within(url, "protected", LOGIN), autocommit=True, cursor_factory=psycopg.RawCursor
                ) as login,
            ):
                admin.execute("SET search_path = pg_catalog")
                yield Place(admin, login)
        finally:
            connection.execute("DROP DATABASE protected WITH (FORCE)")
            for role in (LOGIN, *reversed(ROLES)):
                connection.execute(f"DROP ROLE IF EXISTS {role}".encode())


@contextmanager
def shop(place: Place, *texts: str):
    """Create the schema and what a test needs in it, as prot_owner."""
    place.run("CREATE SCHEMA shop AUTHORIZATION prot_owner")
    place.run(f"GRANT USAGE ON SCHEMA shop TO {', '.join(ROLES)}")
    try:
        with place.admin.transaction():
            place.run("SET LOCAL ROLE prot_owner", *texts)
        yield place
    finally:
        # A test that failed half-way leaves a transaction or a role behind.
        place.run("ROLLBACK", "RESET ROLE", "DROP SCHEMA shop CASCADE")
        place.run(f"DROP OWNED BY {', '.join(ROLES)}")
