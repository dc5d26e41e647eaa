"""A database of its own with one foreign schema, adopted as an operator would: migrated, protected, registered."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from foreign.schema import ForeignRows, ForeignSchema
from psycopg import RawCursor, sql
from pydantic import SecretStr
from sqlglot.dialects.postgres import Postgres
from sqlglot.tokenizer_core import TokenType

from server.administration.key_table import put_key
from server.administration.migrations import migrate
from server.catalog.loading import Catalog, load_catalog
from server.catalog.protection import protection_sql
from server.database.context_keys import new_context_key
from server.dev.stack import Stack
from server.doctor.examination import Report, examine
from server.settings import AuditSettings, Settings, TenancySettings


@dataclass(frozen=True)
class ForeignDatabase:
    """A database with declared tables: how to reach it, and the settings that serve it."""

    admin_url: str
    settings: Settings
    catalog: Catalog

    @contextmanager
    def administrator(self) -> Generator[psycopg.Connection[Any]]:
        """Connect as the superuser."""
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            yield connection

    @contextmanager
    def login(self) -> Generator[psycopg.Connection[Any]]:
        """Connect as the server's login."""
        url = self.settings.database.url.get_secret_value()
        with psycopg.connect(url, autocommit=True, cursor_factory=RawCursor) as connection:
            yield connection

    def run(self, text: str) -> None:
        """Run statements as the superuser, each in a transaction of its own where they say nothing else."""
        with self.administrator() as connection:
            connection.execute(text.encode())

    def report(self) -> Report:
        """Return what the doctor says."""
        return examine(self.settings, self.catalog)

    def offenders(self) -> dict[str, list[str]]:
        """Return every offending object with the problems that the doctor names."""
        found: dict[str, list[str]] = {}
        for check in self.report().failed:
            for one in check.offenders:
                found.setdefault(one.object, []).append(f"{check.name}: {one.problem}")
        return found

    @contextmanager
    def broken(self, mistake: str, remedy: str) -> Generator[None]:
        """Make a mistake, and undo it at the end."""
        self.run(mistake)
        try:
            yield
        finally:
            self.run(remedy)


@contextmanager
def database_of_its_own(stack: Stack, name: str, files: Sequence[Path], id_type: str) -> Generator[ForeignDatabase]:
    """Make an empty database in the stack's cluster; remove it at the end."""

    def within(url: str) -> str:
        return urlsplit(url)._replace(path=f"/{name}").geturl()

    with psycopg.connect(stack.admin_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    login = stack.settings.database.model_copy(
        update={
            "url": SecretStr(within(stack.addresses.database_url)),
            "context_keys": (SecretStr(new_context_key("k1").text()),),
        }
    )
    settings = stack.settings.model_copy(
        update={
            "database": login,
            "catalog": tuple(map(str, files)),
            "migrations": (),
            "documents": None,
            "audit": AuditSettings(),
            "tenancy": TenancySettings.model_validate({"id_type": id_type}),
        }
    )
    database = ForeignDatabase(within(stack.admin_url), settings, load_catalog(settings.catalog))
    try:
        yield database
    finally:
        with psycopg.connect(stack.admin_url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def adopt(database: ForeignDatabase, tenants: Sequence[str]) -> None:
    """Migrate the core, protect every declared table as `tenantgate tools sql` says, and register the tenants."""
    migrate(database.admin_url, lambda _step: None)
    (key,) = database.settings.database.signing_keys()
    with database.administrator() as connection:
        put_key(connection, key)
        connection.cursor().executemany(
            "INSERT INTO tenancy.tenants (tenant_id, name) VALUES (%s, %s)", [(one, f"Tenant {one}") for one in tenants]
        )
    protect(database)


def protect(database: ForeignDatabase) -> None:
    """Run what `tenantgate tools sql` prints for every declared table, parents first."""
    with database.administrator() as connection:
        reading = psycopg.connect(database.admin_url, autocommit=True, cursor_factory=RawCursor)
        with reading:
            for table in database.catalog.tables.values():
                settings = database.settings
                text = protection_sql(
                    reading, table, database.catalog.tables, settings.database.login, settings.tenancy.id_type
                )
                run_script(connection, text)


def run_script(connection: psycopg.Connection[Any], text: str) -> None:
    """Run a printed script as psql does, statement by statement: an index that others wait for stands alone."""
    start = 0
    for token in Postgres().tokenize(text):
        if token.token_type is TokenType.SEMICOLON:
            connection.execute(text[start : token.end + 1].encode())
            start = token.end + 1


@contextmanager
def foreign_database(stack: Stack, schema: ForeignSchema) -> Generator[tuple[ForeignDatabase, ForeignRows]]:
    """Make the application's database, adopt it, and read its rows for the model."""
    try:
        with database_of_its_own(stack, f"foreign_{schema.name}", [schema.file], schema.program.ID_TYPE) as database:
            with database.administrator() as connection:
                schema.create(connection)
            adopt(database, schema.tenants)
            with database.administrator() as connection:
                rows = schema.read(connection)
            yield database, rows
    finally:
        with psycopg.connect(stack.admin_url, autocommit=True) as connection:
            schema.remove_roles(connection)
