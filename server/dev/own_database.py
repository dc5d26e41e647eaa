"""`tenantgate dev --catalog DIR --database URL`: the development sign-in for an existing database."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, LiteralString
from urllib.parse import urlsplit
from uuid import NAMESPACE_URL, uuid5

import psycopg
from psycopg import sql

from server.administration.administrator import administrator
from server.administration.key_table import put_key, stored_keys
from server.administration.migrations import migrate
from server.catalog.facts import read_facts
from server.catalog.loading import Catalog, load_catalog
from server.catalog.tenant_columns import family_of
from server.database.context_keys import ContextKey
from server.dev.people import Person
from server.errors import StartupError

_LOGIN: Final = "app_user"
_PEOPLE: Final = 20
_TENANTS: Final[LiteralString] = "SELECT tenant_id FROM tenancy.tenants WHERE active ORDER BY tenant_id LIMIT %s"
IdType = Literal["text", "uuid", "integer"]


@dataclass(frozen=True, slots=True)
class OwnDatabase:
    """An existing database, by its administrator's URL, and the catalog to try on it."""

    catalog_path: Path
    admin_url: str

    def prepare(self, key: ContextKey) -> str:
        """Migrate the core's schema, store the key, set the login's password; return the login's URL.

        Raises StartupError for a database that a real server uses, because its login's password would change.
        """
        migrate(self.admin_url, lambda _step: None, login=_LOGIN)
        password = secrets.token_urlsafe(24)
        with administrator(self.admin_url) as connection:
            if others := [one.kid for one in stored_keys(connection) if one.kid != key.kid]:
                raise StartupError(
                    f"this database has the context key {others[0]}, so a server uses it; run `tenantgate dev` on a "
                    "copy"
                )
            put_key(connection, key)
            statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(_LOGIN), sql.Literal(password))
            connection.execute(statement)
        parts = urlsplit(self.admin_url)
        return parts._replace(netloc=f"{_LOGIN}:{password}@{parts.netloc.rpartition('@')[2]}").geturl()

    def settings(self) -> dict[str, Any]:
        """Return the top-level settings for this catalog and database."""
        catalog = load_catalog([str(self.catalog_path)])
        return {
            "catalog": [str(self.catalog_path.absolute())],
            "tenancy": {"id_type": self._id_type(catalog), "tenant_lookup": False},
        }

    def _id_type(self, catalog: Catalog) -> IdType:
        """Return the type of tenant ids in this database, from the declared tenant columns."""
        with administrator(self.admin_url) as connection:
            connection.cursor_factory = psycopg.RawCursor
            facts = read_facts(connection, catalog.tables)
        found = {
            family_of(facts[name].columns[table.tenant_column])
            for name, table in catalog.tables.items()
            if table.tenant_column and name in facts and table.tenant_column in facts[name].columns
        }
        return "uuid" if "uuid" in found else "integer" if "integer" in found else "text"

    def people(self) -> Sequence[Person]:
        """Return one person for each of the registry's first active tenants.

        Raises StartupError when the registry has none.
        """
        with administrator(self.admin_url) as connection:
            rows: list[tuple[Any, ...]] = connection.execute(_TENANTS, (_PEOPLE,)).fetchall()
        if not rows:
            raise StartupError(
                "the registry has no active tenant; add one with `tenantgate tenants add`, "
                "or all with `tenantgate tenants sync --from schema.table --key column`"
            )
        return tuple(
            Person(f"someone-of-{tenant}", str(uuid5(NAMESPACE_URL, f"tenantgate:{tenant}")), tenant, ())
            for (tenant,) in rows
        )
