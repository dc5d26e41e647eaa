"""Compare the administrator's count per tenant with the rows that each tenant sees under a genuine context."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString

import psycopg
from psycopg import RawCursor

from server.administration.administrator import administrator
from server.catalog.declarations import Table
from server.database.connecting import first_line
from server.database.statement import Statement
from server.doctor.asking import LATER, made
from server.doctor.contexts import ContextSigner
from server.doctor.count_statements import count_all, count_by_tenant
from server.doctor.declared import Declared
from server.doctor.known_tenants import KnownTenants
from server.doctor.losers import loser_notices
from server.doctor.offender import Offender
from server.doctor.report import Check
from server.doctor.row_statements import Counts, counting
from server.doctor.snapshot import one_snapshot
from server.doctor.tenants import family
from server.settings import DatabaseSettings

# Counting may take longer than the call of a tool.
_TIMEOUT_MS: Final = 60_000
# Without a common snapshot, rows may be written between the two counts. So a difference is counted again.
_ATTEMPTS: Final = 3
_ROW_SECURITY: Final[LiteralString] = "SELECT set_config('row_security', $1, true)"


@dataclass(slots=True)
class Compared:
    """The result of the comparison: the check, notices, and the number of tenants counted."""

    check: Check
    notices: list[str] = field(default_factory=list[str])
    tenants: int = 0


def compare_with_administrator(
    database: DatabaseSettings, connection: psycopg.Connection[Any], signer: ContextSigner, declared: Declared
) -> Compared:
    """Compare both counts and name roles that lose rows; raise StartupError if the administrator cannot connect."""
    with administrator(database.admin_url.get_secret_value(), database.unverified_tls) as admin:
        admin.cursor_factory = RawCursor
        with one_snapshot(admin, connection, _TIMEOUT_MS) as is_shared:
            counts = _Counts(admin, connection, signer, declared, attempts=1 if is_shared else _ATTEMPTS)
            check = made(
                "counts", "Each tenant sees as many rows as the administrator counts for it.", connection, counts.run
            )
    return Compared(check, [*counts.notices, *counts.known.notices], len(counts.tenants))


class _Counts:
    """The comparison, with both connections."""

    def __init__(
        self,
        admin: psycopg.Connection[Any],
        login: psycopg.Connection[Any],
        signer: ContextSigner,
        declared: Declared,
        *,
        attempts: int,
    ) -> None:
        self.notices: Final[list[str]] = []
        self.tenants: Final[set[str]] = set()
        self.known: Final = KnownTenants(admin, declared)
        self._admin: Final = admin
        self._login: Final = login
        self._signer: Final = signer
        self._declared: Final = declared
        self._attempts: Final = attempts

    def run(self) -> Iterator[Offender]:
        """Yield each relation where a tenant sees more or fewer rows than the administrator counts."""
        declared = self._declared
        self.notices.extend(loser_notices(self._admin, declared.tables, declared.login, declared.facts))
        for table in declared.provable:
            facts = declared.facts[table.name]
            if facts.bound_owner:
                self.notices.append(f"{table.name}: not counted, because the view reads its tables as {facts.owner}")
            else:
                yield from self._counted(table)

    def _counted(self, table: Table) -> Iterator[Offender]:
        """Compare one relation, or add a notice that says why this is impossible."""
        # With row_security off, PostgreSQL raises an error if policies would hide rows from the administrator. Then
        # count again with policies applied.
        for row_security in ("off", "on"):
            try:
                # Rolled back on both sides, so that no lock on the table is kept.
                with self._admin.transaction(force_rollback=True), self._login.transaction(force_rollback=True):
                    self._admin.execute(_ROW_SECURITY, (row_security,))
                    yield from self._compare(table, self.known.of(table), sees_all=row_security == "off")
            except psycopg.errors.InsufficientPrivilege as error:
                if row_security == "on":
                    self.notices.append(f"{table.name}: not counted: {first_line(error)}")
                continue
            except LATER:
                self.notices.append(f"{table.name}: not counted, because it takes longer than {_TIMEOUT_MS // 1000} s")
            except psycopg.OperationalError:
                raise
            except psycopg.Error as error:
                self.notices.append(f"{table.name}: not counted: {first_line(error)}")
            return

    def _compare(self, table: Table, tenants: Sequence[str], *, sees_all: bool) -> Iterator[Offender]:
        expected = self._expected(table, tenants)
        statement = counting(self._declared, table, sample=False)
        for tenant in tenants:
            seen = self._seen(statement, tenant)
            for _ in range(self._attempts - 1):
                if seen != expected.get(tenant, 0):
                    expected = self._expected(table, tenants)
                    seen = self._seen(statement, tenant)
            self.tenants.update(() if table.shared else (tenant,))
            wanted = expected.get(tenant, 0)
            if seen == wanted:
                continue
            problem = f"as the tenant {tenant}, {seen} rows are seen, but the administrator counts {wanted}"
            if self._declared.facts[table.name].kind == "v":
                # The rows of a view may depend on other rows that it sees, such as the first ten of all.
                self.notices.append(f"{table.name}: {problem}; the view may depend on who asks")
            elif sees_all:
                yield Offender(table.name, problem, "see the other problems of this relation")
            else:
                self.notices.append(f"{table.name}: {problem}, whom policies bind too")
                return

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
