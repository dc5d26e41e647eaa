"""A database of its own for the doctor: migrated, with the sample and with a help desk whose tables are declared."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from server.administration.key_table import put_key
from server.administration.migrations import migrate
from server.catalog.loading import Catalog, load_catalog
from server.catalog.protection import protection_sql
from server.database.context_keys import new_context_key
from server.dev.sample import load_sample
from server.dev.stack import Stack
from server.doctor.examination import Report, examine
from server.settings import Settings

DESK = Path(__file__).parents[1] / "desk"
CATALOG = ("sample", str(DESK / "desk.toml"))
KEY = new_context_key("k1")
_ROLES = ("desk_owner", "desk_app", "desk_views")


@dataclass(frozen=True)
class Examined:
    """The database, as `tenantgate migrate` and `tenantgate tools sql` leave it."""

    admin_url: str
    url: str

    def settings(self, *keys: str, **database: object) -> Settings:
        given = {"url": self.url, "admin_url": self.admin_url, "context_keys": keys or (KEY.text(),)}
        return Settings.model_validate({"database": given | database, "catalog": CATALOG})

    @cached_property
    def catalog(self) -> Catalog:
        return load_catalog(CATALOG)

    def run(self, text: str) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as connection:
            connection.execute(text.encode())

    def protect(self, catalog: Catalog, *names: str) -> None:
        """Run what `tenantgate tools sql` prints, for each of the tables."""
        reading = psycopg.connect(self.admin_url, autocommit=True, cursor_factory=psycopg.RawCursor)
        with reading:
            for name in names:
                self.run(protection_sql(reading, catalog.tables[name], catalog.tables, "app_user"))

    def report(self, *keys: str, admin: bool = False, **database: object) -> Report:
        return examine(self.settings(*keys, **database), self.catalog, admin=admin)

    def offenders(self, *keys: str) -> dict[str, set[str]]:
        """Return what offends, by check."""
        return {check.name: {one.object for one in check.offenders} for check in self.report(*keys).failed}

    @contextmanager
    def broken(self, mistake: str, remedy: str):
        self.run(mistake)
        try:
            yield
        finally:
            self.run(remedy)


@contextmanager
def database_of_its_own(admin_url: str, login_url: str, name: str) -> Generator[Examined]:
    """Make it on a server that has the login already; both URLs name another database of it."""

    def within(url: str) -> str:
        return urlsplit(url)._replace(path=f"/{name}").geturl()

    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    try:
        yield Examined(within(admin_url), within(login_url))
    finally:
        with psycopg.connect(admin_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def fill(database: Examined) -> None:
    """Migrate, store the key, load the sample and the help desk, and protect what is declared."""
    migrate(database.admin_url, lambda _step: None, folders=["sample"])
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        put_key(connection, KEY)
        load_sample(connection, "https://issuer.test")
    database.run((DESK / "desk.sql").read_text(encoding="utf-8"))
    database.protect(database.catalog, *(name for name in database.catalog.tables if name.startswith("desk.")))


@pytest.fixture(scope="module")
def examined(stack: Stack) -> Iterator[Examined]:
    with database_of_its_own(stack.admin_url, stack.addresses.database_url, "examined") as found:
        fill(found)
        yield found
    with psycopg.connect(stack.admin_url, autocommit=True) as connection:
        for role in _ROLES:
            connection.execute(f"DROP ROLE {role}".encode())
