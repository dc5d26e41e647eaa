"""The tenants that the administrator can find: those with rows, and those in the registry."""

from collections.abc import Iterator
from typing import Any, Final, LiteralString

import psycopg

from server.catalog.declarations import Table
from server.doctor.count_statements import first_tenants
from server.doctor.declared import Declared
from server.doctor.tenants import family, is_possible, nobody, root

_TENANTS: Final = 20
_REGISTERED: Final[LiteralString] = "SELECT tenant_id FROM tenancy.tenants WHERE active ORDER BY tenant_id LIMIT 20"


class KnownTenants:
    """At least twenty tenants for each table, or all; `notices` names values that cannot be a caller's tenant."""

    def __init__(self, admin: psycopg.Connection[Any], declared: Declared) -> None:
        """Read nothing yet; `admin` is the administrator's connection, inside a transaction."""
        self.notices: Final[list[str]] = []
        self._admin: Final = admin
        self._declared: Final = declared
        self._found: Final[dict[str, list[str]]] = {}
        self._registered: list[str] | None = None

    def of(self, table: Table) -> list[str]:
        """Return tenants with rows in the table where the chain of parents ends, and registered ones if too few."""
        if table.shared:
            return [nobody("text")]
        kind, first = family(self._declared, table), root(self._declared, table)
        if first.name not in self._found:
            self._found[first.name] = list(self._with_rows(first))
        known = self._found[first.name]
        more = [one for one in self._in_registry() if one not in known and is_possible(self._declared, one, kind)]
        return [*known, *more][: max(_TENANTS, len(known))]

    def _in_registry(self) -> list[str]:
        if self._registered is None:
            with self._admin.transaction(force_rollback=True):
                # The owner's policy shows the registry to an administrator who is not a superuser.
                self._admin.execute("SELECT set_config('row_security', 'on', true)")
                self._registered = [row[0] for row in self._admin.execute(_REGISTERED).fetchall()]
        return self._registered

    def _with_rows(self, table: Table) -> Iterator[str]:
        # A view has no index to find its tenants quickly.
        if self._declared.facts[table.name].kind == "v":
            return
        kind = family(self._declared, table)
        for (tenant,) in self._admin.execute(first_tenants(self._declared, table, _TENANTS)).fetchall():
            if is_possible(self._declared, tenant, kind):
                yield tenant
            else:
                said = f"{table.name}: no caller can have the tenant {tenant!r} of {table.tenant_column}"
                self.notices.append(f"{said}, so nobody sees its rows")
