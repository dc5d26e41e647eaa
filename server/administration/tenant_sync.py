"""Bring the registry in line with a table of the operator: new tenants, returned ones, missing ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString, cast

import psycopg
from psycopg import sql

from server.administration.tenants import insert_tenants, rename_tenants, set_active, stored_tenants
from server.database.connecting import first_line
from server.errors import SettingsError, StartupError
from server.tenant_id import IdType, canonical_tenant

_SHOWN: Final = 3


@dataclass(frozen=True, slots=True)
class Source:
    """A table or view, its column of tenant ids, and optionally a column of names and a condition in SQL."""

    schema: str
    relation: str
    key: str
    name: str | None = None
    where: str | None = None

    @classmethod
    def parse(cls, relation: str, key: str, name: str | None, where: str | None) -> "Source":
        """Read `schema.table`; raise SettingsError for any other form."""
        schema, dot, table = relation.partition(".")
        if not schema or not dot or not table or "." in table:
            raise SettingsError("--from must be schema.table, such as shop.accounts")
        return cls(schema, table, key, name, where)

    def query(self) -> sql.Composed:
        """Return the statement that reads the ids and names as text; an id may occur in several rows."""
        names = sql.Identifier(self.name) if self.name is not None else sql.SQL("NULL")
        # The line breaks end a `--` comment in the condition.
        condition = sql.SQL(cast("LiteralString", f"\n{self.where}\n")) if self.where is not None else sql.SQL("true")
        return sql.SQL("SELECT DISTINCT {}::text, {}::text FROM {} WHERE ({}) ORDER BY 1, 2").format(
            sql.Identifier(self.key), names, sql.Identifier(self.schema, self.relation), condition
        )


@dataclass(frozen=True, slots=True)
class Changes:
    """What a sync changes in the registry: the ids, sorted."""

    added: tuple[str, ...]
    activated: tuple[str, ...]
    deactivated: tuple[str, ...]
    renamed: tuple[str, ...]
    unchanged: int


def sync_tenants(
    connection: psycopg.Connection[Any],
    source: Source,
    id_type: IdType,
    *,
    dry_run: bool = False,
    allow_empty: bool = False,
) -> Changes:
    """Add, activate, deactivate and rename tenants in one transaction, so that the active ones are those of `source`.

    Nothing is deleted. Raises StartupError when the source cannot be read completely, contains a value that is not a
    tenant id, or is empty without `allow_empty`.
    """
    with connection.transaction():
        # Otherwise two syncs at once would undo each other's changes. This lock does not block the lookup of people.
        connection.execute("LOCK TABLE tenancy.tenants IN SHARE ROW EXCLUSIVE MODE")
        wanted = _canonical(_read(connection, source), source, id_type)
        if not wanted and not allow_empty:
            raise StartupError(
                f"{source.schema}.{source.relation} returns no tenant, so every tenant would be deactivated; "
                "correct --from and --where, or pass --allow-empty"
            )
        stored = {one.tenant: one for one in stored_tenants(connection)}
        names = {tenant: name for tenant, name in wanted.items() if name and tenant in stored}
        changes = Changes(
            added=tuple(sorted(wanted.keys() - stored.keys())),
            activated=tuple(sorted(one for one in wanted if one in stored and not stored[one].active)),
            deactivated=tuple(one.tenant for one in stored.values() if one.active and one.tenant not in wanted),
            renamed=tuple(sorted(tenant for tenant, name in names.items() if stored[tenant].name != name)),
            unchanged=sum(
                one.active and one.tenant in wanted and names.get(one.tenant, one.name) == one.name
                for one in stored.values()
            ),
        )
        if not dry_run:
            insert_tenants(connection, {tenant: wanted[tenant] or tenant for tenant in changes.added})
            set_active(connection, list(changes.activated), active=True)
            set_active(connection, list(changes.deactivated), active=False)
            rename_tenants(connection, {tenant: names[tenant] for tenant in changes.renamed})
    return changes


def _read(connection: psycopg.Connection[Any], source: Source) -> dict[str | None, str | None]:
    """Return the names of the source by id, as the database writes them."""
    found: dict[str | None, str | None] = {}
    try:
        # Row level security on the source would hide rows, and their tenants would be deactivated. Make it an error.
        connection.execute("SET LOCAL row_security = off")
        # stream() sends one statement only: a condition that contains a second statement is refused.
        for key, name in connection.cursor().stream(source.query()):
            found.setdefault(key, name)
        connection.execute("SET LOCAL row_security = on")
    except psycopg.errors.InsufficientPrivilege as error:
        raise StartupError(
            f"--from: not all rows can be read: {first_line(error)}; set database.admin_url to a login that may read "
            "the table and that no policy limits"
        ) from error
    except (psycopg.ProgrammingError, psycopg.DataError) as error:
        raise StartupError(
            f"--from cannot be read: {first_line(error)}; correct --from, --key, --name-column or --where"
        ) from error
    return found


def _canonical(found: Mapping[str | None, str | None], source: Source, id_type: IdType) -> dict[str, str | None]:
    wanted: dict[str, str | None] = {}
    malformed: list[str] = []
    for key, name in found.items():
        tenant = canonical_tenant(key, id_type)
        if tenant is None:
            malformed.append("NULL" if key is None else repr(key[:60]))
        else:
            wanted.setdefault(tenant, name.strip() if name is not None else None)
    if malformed:
        shown = ", ".join(malformed[:_SHOWN]) + (", …" if len(malformed) > _SHOWN else "")
        raise StartupError(
            f"{source.key} of {source.schema}.{source.relation} contains {len(malformed)} values that are not tenant "
            "ids "
            f"of the type {id_type} ({shown}); leave them out with --where, or set tenancy.id_type"
        )
    return wanted
