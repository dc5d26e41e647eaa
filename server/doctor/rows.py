"""Live proofs on real rows: without a tenant no row is seen, and a tenant sees only its own rows."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, LiteralString

import psycopg
from psycopg import sql

from server.catalog.declarations import Table, Through
from server.database.connecting import first_line
from server.database.statement import Statement
from server.doctor.asking import LATER
from server.doctor.contexts import ContextSigner
from server.doctor.declared import Declared
from server.doctor.offender import Offender
from server.doctor.report import Proved
from server.doctor.row_statements import SAMPLE_ROWS, Counts, any_row, counting
from server.doctor.tenants import family, is_possible, nobody
from server.doctor.undeclared import CORE
from server.doctor.watch import Watch

# Use indexes even for small tables: then a tenant without rows costs nothing.
_BY_INDEX: Final[LiteralString] = "SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true)"
_HAS_TENANT: Final = sql.SQL("SELECT tenancy.current_tenant() IS NOT NULL")
_SEE_OTHERS: Final = "see the other problems of this relation"
# After this time, the remaining relations are checked with samples.
_EXACT_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class _Look:
    """One query about a relation: without a context, as a tenant that does not exist, or as a real tenant.

    `sample` replaces `statement` when that takes too long.
    """

    name: str
    offenders: list[Offender]
    query: sql.SQL | sql.Composed | None = None
    tenant: str = ""
    is_stranger: bool = False
    statement: Statement[Counts] | None = None
    sample: Statement[Counts] | None = None


class RowProofs:
    """The proofs of all declared relations, and their results.

    `without_context`, `strangers` and `foreign` hold the offenders: rows seen without a tenant, rows seen by a tenant
    that does not exist, and rows of other tenants. With `exact`, every row is counted, otherwise a sample.
    """

    def __init__(self, connection: psycopg.Connection[Any], declared: Declared, watch: Watch, *, exact: bool) -> None:
        """Keep the parameters; nothing is read yet."""
        self.without_context: Final[list[Offender]] = []
        self.strangers: Final[list[Offender]] = []
        self.foreign: Final[list[Offender]] = []
        self.notices: Final[list[str]] = []
        self.proved: Final[list[Proved]] = []
        self._connection: Final = connection
        self._declared: Final = declared
        self._watch: Final = watch
        self._exact: Final = exact
        self._exact_until: Final = time.monotonic() + _EXACT_S
        self._unproved: Final = set[str]()
        # The rows that real tenants saw in the present relation.
        self._seen = 0

    def look_without_context(self) -> None:
        """Query every relation without a tenant, inside the open transaction; locks are released after each."""
        self._connection.execute(_BY_INDEX)
        self._answer([_Look("tenancy.current_tenant()", self.without_context, _HAS_TENANT)])
        for name in sorted(CORE):
            self._answer([_Look(name, self.without_context, any_row(sql.Identifier(*name.split("."))))])
        for table in self._declared.present:
            query = any_row(self._declared.relation(table.name))
            if not self._answer([_Look(table.name, self.without_context, query)]):
                self._unproved.add(table.name)

    def look_as(self, tenants: Sequence[str], signer: ContextSigner) -> None:
        """Query every relation in the same way as a tenant that does not exist and as each of `tenants`."""
        self._connection.execute(_BY_INDEX)
        for table in self._declared.provable:
            self._watch.looks_at(table.name)
            self._seen, looks = 0, list(self._looks(table, tenants))
            if self._answer(looks, signer) and table.name not in self._unproved:
                self._prove(table, looks)

    def _prove(self, table: Table, looks: Sequence[_Look]) -> None:
        how = _how(table, self._declared.facts[table.name].kind)
        real = len({one.tenant for one in looks if one.offenders is self.foreign})
        # One more statement looked without a tenant.
        self.proved.append(Proved(table.name, how, statements=1 + len(looks), tenants=real, rows=self._seen))
        self._watch.proved(self.proved[-1])

    def _looks(self, table: Table, tenants: Sequence[str]) -> Iterator[_Look]:
        kind = family(self._declared, table)
        sample = counting(self._declared, table, sample=True)
        stranger = _Look(table.name, self.strangers, tenant=nobody(kind), is_stranger=True)
        if table.shared:
            # Shared rows are for every tenant, so the proof only checks that they can be read.
            yield replace(stranger, is_stranger=False, statement=sample)
            return
        statement = sample
        if self._exact and time.monotonic() < self._exact_until:
            statement = counting(self._declared, table, sample=False)
        elif self._exact:
            self.notices.append(_sampled(table.name))
        yield replace(stranger, statement=statement, sample=sample)
        for tenant in tenants:
            if is_possible(self._declared, tenant, kind):
                yield replace(
                    stranger,
                    tenant=tenant,
                    is_stranger=False,
                    offenders=self.foreign,
                    statement=statement,
                    sample=sample,
                )

    def _answer(self, looks: Sequence[_Look], signer: ContextSigner | None = None) -> bool:
        """Run the queries one after the other; return whether all results are as isolation requires."""
        pending, is_well = deque(looks), True
        while pending:
            try:
                with self._connection.transaction(force_rollback=True):
                    while pending:
                        is_well &= self._ask(pending[0], signer)
                        pending.popleft()
            except LATER:
                is_well &= self._postpone(pending)
            except psycopg.OperationalError:
                raise
            except psycopg.Error as error:
                look = pending.popleft()
                look.offenders.append(Offender(look.name, f"cannot be read: {first_line(error)}", _SEE_OTHERS))
                is_well = False
        return is_well

    def _ask(self, look: _Look, signer: ContextSigner | None) -> bool:
        if look.statement and signer:
            problem = self._seen_as_tenant(look, look.statement, signer)
        else:
            problem = self._seen_without_context(look)
        if problem:
            look.offenders.append(Offender(look.name, problem, _SEE_OTHERS))
        return problem is None

    def _seen_without_context(self, look: _Look) -> str | None:
        query = look.query or sql.SQL("SELECT true")
        shows = self._connection.execute(query).fetchall()[0][0]
        what = "there is a tenant" if query is _HAS_TENANT else "rows are seen"
        return f"{what} without a tenant context" if shows else None

    def _seen_as_tenant(self, look: _Look, statement: Statement[Counts], signer: ContextSigner) -> str | None:
        values = (look.tenant, signer.sign(statement, look.tenant))
        enforced, rows = self._connection.execute(statement.sent, values).fetchall()[0]
        if enforced != look.tenant:
            return f"the database enforces the tenant {enforced} for a context of {look.tenant}"
        counts = statement.read(rows)[0]
        self._seen += counts["seen"]
        if look.is_stranger and counts["seen"]:
            return f"a tenant that does not exist sees {_rows(counts['seen'])}"
        if counts["others"]:
            return f"the tenant {look.tenant} sees {_rows(counts['others'])} of others"
        return None

    def _postpone(self, pending: deque[_Look]) -> bool:
        """Replace a query that takes too long by one about a sample, or add a notice that it was left out."""
        look = pending.popleft()
        if look.sample is None or look.statement is look.sample:
            self.notices.append(f"{look.name}: a live proof on its rows took too long and was left out")
            return False
        pending.appendleft(replace(look, statement=look.sample))
        if (said := _sampled(look.name)) not in self.notices:
            self.notices.append(said)
        return True


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _how(table: Table, kind: str) -> str:
    """Return a short text that says what isolates a relation."""
    view = "view, " if kind == "v" else ""
    if isinstance(table.tenant, Through):
        return f"{view}child of {table.tenant.parent}"
    return f"{view}own column {table.tenant}" if table.tenant else f"{view}shared"


def _sampled(name: str) -> str:
    return f"{name}: {SAMPLE_ROWS:,} rows per tenant were checked, because all of them would have taken too long"
