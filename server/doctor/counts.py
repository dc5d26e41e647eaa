"""The administrator's own count per tenant, compared with what each tenant sees under a genuine context."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg
from psycopg import RawCursor

from server.administration.administrator import administrator, first_line
from server.catalog.declarations import Table
from server.database.statement import Statement
from server.doctor.asking import made
from server.doctor.contexts import Signer
from server.doctor.count_statements import count_all, count_by_tenant, first_tenants
from server.doctor.declared import Declared
from server.doctor.losers import loser_notices
from server.doctor.offender import Offender
from server.doctor.report import Check
from server.doctor.row_statements import Counts, counting
from server.doctor.snapshot import one_snapshot
from server.doctor.tenants import family, is_canonical, nobody, root

# Counting is worth more patience than a call of a tool.
_TIMEOUT_MS: Final = 60_000
_TENANTS: Final = 20
_REGISTERED: Final = "SELECT tenant_id FROM tenancy.tenants WHERE active ORDER BY tenant_id LIMIT 20"
# Without a common snapshot, rows that were written between the two counts are no offence.
_ATTEMPTS: Final = 3


@dataclass(slots=True)
class Compared:
    """What the comparison found: the check, sentences, and how many tenants were counted."""

    check: Check
    notices: list[str] = field(default_factory=list[str])
    tenants: int = 0


def compare_with_administrator(
    admin_url: str, connection: psycopg.Connection[Any], signer: Signer, declared: Declared
) -> Compared:
    """Count as both; also name the roles that lose rows. Raises StartupError when the administrator cannot connect."""
    with administrator(admin_url) as admin:
        admin.cursor_factory = RawCursor
        with one_snapshot(admin, connection, _TIMEOUT_MS) as is_shared:
            counts = _Counts(admin, connection, signer, declared, attempts=1 if is_shared else _ATTEMPTS)
            check = made(
                "counts", "Each tenant sees as many rows as the administrator counts for it.", connection, counts.run
            )
    return Compared(check, counts.notices, len(counts.tenants))


class _Counts:
    """Both sides of the comparison."""

    def __init__(
        self,
        admin: psycopg.Connection[Any],
        login: psycopg.Connection[Any],
        signer: Signer,
        declared: Declared,
        *,
        attempts: int,
    ) -> None:
        self.notices: Final[list[str]] = []
        self.tenants: Final[set[str]] = set()
        self._admin: Final = admin
        self._login: Final = login
        self._signer: Final = signer
        self._declared: Final = declared
        self._attempts: Final = attempts
        self._roots: Final[dict[str, list[str]]] = {}

    def run(self) -> Iterator[Offender]:
        """Yield each relation of which a tenant sees more or fewer rows than the administrator counts."""
        declared = self._declared
        self.notices.extend(loser_notices(self._admin, declared.tables, declared.login, declared.facts))
        registered = [row[0] for row in self._admin.execute(_REGISTERED).fetchall()]
        for table in self._declared.provable:
            facts = self._declared.facts[table.name]
            if facts.bound_owner:
                self.notices.append(f"{table.name}: not counted, for the view reads its tables as {facts.owner}")
                continue
            try:
                # Undone on both sides, so that no lock is kept on the table.
                with self._admin.transaction(force_rollback=True), self._login.transaction(force_rollback=True):
                    yield from self._compare(table, self._tenants_of(table, registered))
            except (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable):
                self.notices.append(f"{table.name}: not counted, for it takes longer than {_TIMEOUT_MS // 1000} s")
            except psycopg.OperationalError:
                raise
            except psycopg.Error as error:
                self.notices.append(f"{table.name}: not counted: {first_line(error)}")

    def _compare(self, table: Table, tenants: Sequence[str]) -> Iterator[Offender]:
        expected = self._expected(table, tenants)
        statement = counting(self._declared, table, sample=False)
        for tenant in tenants:
            seen = self._seen(statement, tenant)
            for _ in range(self._attempts - 1):
                if seen != expected.get(tenant, 0):
                    expected = self._expected(table, tenants)
                    seen = self._seen(statement, tenant)
            self.tenants.add(tenant)
            if seen == expected.get(tenant, 0):
                continue
            problem = (
                f"as the tenant {tenant}, {seen} rows are seen, and the administrator counts {expected.get(tenant, 0)}"
            )
            if self._declared.facts[table.name].kind == "v":
                # A view may choose rows by what else it sees, such as the first ten of all.
                self.notices.append(f"{table.name}: {problem}; the view may depend on who asks")
            else:
                yield Offender(table.name, problem, "see what the other checks say of it")

    def _expected(self, table: Table, tenants: Sequence[str]) -> dict[str, int]:
        if table.shared:
            rows = self._admin.execute(count_all(self._declared, table)).fetchall()
            return dict.fromkeys(tenants, int(rows[0][0]))
        query = count_by_tenant(self._declared, table, family(self._declared, table))
        rows = self._admin.execute(query, (list(tenants),)).fetchall()
        return {str(row[0]): int(row[1]) for row in rows}

    def _seen(self, statement: Statement[Counts], tenant: str) -> int:
        _, rows = self._login.execute(statement.sent, (tenant, self._signer.sign(statement, tenant))).fetchall()[0]
        return statement.read(rows)[0]["seen"]

    def _tenants_of(self, table: Table, registered: Sequence[str]) -> list[str]:
        """Return tenants that have rows, by the first of the chain's tables, and registered ones where they are few."""
        if table.shared:
            return [nobody("text")]
        kind, first = family(self._declared, table), root(self._declared, table)
        if first.name not in self._roots:
            self._roots[first.name] = list(self._in_data(first))
        known = [one for one in self._roots[first.name] if is_canonical(one, kind)]
        more = [one for one in registered if one not in known and is_canonical(one, kind)]
        return [*known, *more][: max(_TENANTS, len(known))]

    def _in_data(self, table: Table) -> Iterator[str]:
        """Yield the first tenants of a table's rows; say so of those that nobody can have."""
        if self._declared.facts[table.name].kind == "v":
            return
        kind = family(self._declared, table)
        for (tenant,) in self._admin.execute(first_tenants(self._declared, table, _TENANTS)).fetchall():
            if is_canonical(tenant, kind):
                yield tenant
            else:
                said = f"{table.name}: no caller can have the tenant {tenant!r} of {table.tenant_column}"
                self.notices.append(f"{said}, so nobody sees its rows")
