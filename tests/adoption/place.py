"""A database that is adopted as an administrator would do it, and read as its roles and its tenants see it."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from server.administration.key_table import put_key
from server.administration.migrations import migrate
from server.administration.tenants import insert_tenants
from server.adoption.adopt import adopt
from server.adoption.report import AdoptionReport
from server.adoption.request import parse_request
from server.catalog.declarations import Table, Through
from server.catalog.loading import load_catalog
from server.database.context_keys import new_context_key
from server.database.statement import Statement
from server.doctor.examination import examine
from server.settings import Settings

KEY = new_context_key("k1")
PASSWORD = "of-a-test"
SHOP = Path(__file__).with_name("shop.sql")


@dataclass(frozen=True)
class Place:
    """One database, and the folder that `adopt` writes into."""

    url: str
    admin: psycopg.Connection[Any]
    output: Path
    login: str
    id_type: str
    reports: list[AdoptionReport] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        parts = urlsplit(self.url)
        host = f"{self.login}:{PASSWORD}@{parts.hostname}:{parts.port}"
        return Settings.model_validate(
            {
                "resource_url": "http://127.0.0.1:8000/mcp",
                "catalog": [str(self.output / "tools")],
                "migrations": [str(self.output / "migrations")],
                "tenancy": {"id_type": self.id_type},
                "database": {
                    "login": self.login,
                    "url": parts._replace(netloc=host).geturl(),
                    "admin_url": self.url,
                    "context_keys": [KEY.text()],
                },
            }
        )

    def adopt(
        self, *tenant_columns: str, update: bool = False, prove: bool = False, **options: Sequence[str]
    ) -> AdoptionReport:
        report = adopt(self.settings, parse_request(tenant_columns, **options), self.output, update=update, prove=prove)
        self.reports.append(report)
        return report

    def migrate(self) -> list[str]:
        """Apply the migrations, and give the login what an operator would: a password and a key."""
        told: list[str] = []
        migrate(self.url, told.append, login=self.login, folders=[str(self.output / "migrations")])
        self.admin.execute(f"ALTER ROLE {self.login} PASSWORD '{PASSWORD}'".encode())
        put_key(self.admin, KEY)
        return told

    def register(self, ids: Sequence[Any]) -> None:
        insert_tenants(self.admin, {str(one): f"tenant {one}" for one in ids})

    @property
    def tables(self) -> dict[str, Table]:
        return dict(load_catalog([str(self.output / "tools")]).tables)

    def doctor(self) -> list[str]:
        """Return what does not hold."""
        report = examine(self.settings, load_catalog(self.settings.catalog), admin=True)
        return [f"{check.name}: {one}" for check in report.checks for one in check.offenders]

    def count(self, text: str, role: str | None = None) -> int:
        with self.admin.transaction(force_rollback=True):
            if role:
                self.admin.execute(f'SET LOCAL ROLE "{role}"'.encode())
            return self.admin.execute(text.encode()).fetchall()[0][0]

    def works(self, text: str, role: str) -> int:
        """Run a statement as a role, undo it, and return how many rows it changed or returned."""
        with self.admin.transaction(force_rollback=True):
            self.admin.execute(f'SET LOCAL ROLE "{role}"'.encode())
            return self.admin.execute(text.encode()).rowcount

    def truth(self, table: Table, tenant: Any) -> int:
        """Return how many rows of a tenant the administrator counts, by joins instead of policies."""
        joins, alias, way = "", "t", table
        place = 0
        while isinstance(way.tenant, Through):
            parent = self.tables[way.tenant.parent]
            key = way.tenant.key or self._primary_key(parent.name)
            place += 1
            joins += f' JOIN {quoted(parent.name)} AS p{place} ON p{place}."{key}" = {alias}."{way.tenant.through}"'
            alias, way = f"p{place}", parent
        where = f"{alias}.\"{way.tenant}\"::text = '{tenant}'" if way.tenant else "true"
        return self.count(f"SELECT count(*) FROM {quoted(table.name)} AS t{joins} WHERE {where}")

    def seen(self, login: psycopg.Connection[Any], table: Table, tenant: Any) -> int:
        """Return how many rows the login sees with a tenant's context."""
        statement = Statement("seen", f"SELECT count(*) AS n FROM {quoted(table.name)}", dict[str, Any])  # pyright: ignore[reportArgumentType]
        sign = partial(KEY.sign, person=("x", "y"), tier="", expiry_s=4_000_000_000, digest=statement.digest)
        row = login.execute(statement.sent, (sign(tenant=str(tenant)),)).fetchall()[0]
        return statement.read(row[1])[0]["n"]

    def _primary_key(self, name: str) -> str:
        query = """SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid
                   AND a.attnum = i.indkey[0] WHERE i.indisprimary AND i.indrelid = %s::regclass"""
        return self.admin.execute(query, (quoted(name),)).fetchall()[0][0]


def quoted(name: str) -> str:
    schema, _, table = name.partition(".")
    return f'"{schema}"."{table}"'


@contextmanager
def place_for(
    superuser_url: str, name: str, output: Path, *texts: str, id_type: str = "text", roles: Sequence[str] = ()
) -> Generator[Place]:
    """Make a database of some SQL and the roles that it names; both go away at the end."""
    login = f"{name}_login"
    url = urlsplit(superuser_url)._replace(path=f"/{name}").geturl()
    with psycopg.connect(superuser_url, autocommit=True) as superuser:
        superuser.execute(f"CREATE DATABASE {name}".encode())
        for role in roles:
            superuser.execute(f"CREATE ROLE {role}".encode())
        try:
            with psycopg.connect(url, autocommit=True) as admin:
                for text in texts:
                    admin.execute(text.encode())
                admin.execute("RESET search_path; RESET row_security; RESET check_function_bodies")
                yield Place(url, admin, output, login, id_type)
        finally:
            superuser.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())
            for role in (login, *(one.split()[0] for one in reversed(roles))):
                superuser.execute(f"DROP ROLE IF EXISTS {role}".encode())


def login_of(place: Place) -> psycopg.Connection[Any]:
    url = place.settings.database.url.get_secret_value()
    return psycopg.connect(url, autocommit=True, cursor_factory=psycopg.RawCursor)
