"""Prove isolation on the configured database as the login: what it can reach, what protects that, and real rows."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import psycopg

from server.catalog.facts import RelationFacts
from server.catalog.letter_case import ASCII
from server.catalog.loading import Catalog
from server.catalog.rollups import rollups_in
from server.doctor.asking import login_connection, made, settled
from server.doctor.contexts import CONTEXT_PROOFS, ContextSigner, signer_of
from server.doctor.counts import compare_with_administrator
from server.doctor.declared import Declared, read_declared
from server.doctor.declared_checks import declared_checks
from server.doctor.offender import Offender
from server.doctor.orders import order_notices
from server.doctor.reach import Grant
from server.doctor.report import Check as Check  # noqa: PLC0414  # offered here too
from server.doctor.report import Report as Report  # noqa: PLC0414  # offered here too
from server.doctor.rollups import figure_offenders
from server.doctor.rows import RowProofs
from server.doctor.sql_checks import sql_checks
from server.doctor.tenants import registered_tenants
from server.doctor.undeclared import acceptance_notices, is_accepted
from server.doctor.watch import Names, Watch
from server.errors import SettingsError
from server.settings import Settings

# A difference of the clocks from here on gives a notice.
_CLOCK_NOTICE_S: Final = 5.0


def examine(
    settings: Settings, catalog: Catalog, *, admin: bool = False, exact: bool = True, watch: Watch | None = None
) -> Report:
    """Run every check and proof through `database.url` with `database.context_keys`.

    With `admin`, also compare with the counts of the administrator of `database.admin_url`. Without `exact`, the proofs
    on rows use samples. A check that cannot be made fails. `watch` follows what happens. Raises SettingsError when a
    setting is missing, UnreachableError when the database does not answer.
    """
    if not settings.database.url.get_secret_value():
        raise SettingsError(f"database.url is missing; set it to the connection of the login {settings.database.login}")
    if not settings.database.context_keys:
        raise SettingsError("database.context_keys is empty; make a key with `tenantgate keys add` and set it")
    if admin and not settings.database.admin_url.get_secret_value():
        raise SettingsError("database.admin_url is missing; set TENANTGATE_DATABASE__ADMIN_URL for --admin")
    began = time.monotonic()
    with login_connection(settings.database) as connection:
        examination = _Examination(connection, settings, catalog, watch or Watch())
        with settled(connection, settings.database.statement_timeout_ms):
            examination.run(exact=exact)
        if admin and examination.signer is not None and examination.declared is not None:
            examination.compare(examination.declared, examination.signer)
    return examination.report(time.monotonic() - began)


def _ignores_case(catalog: Catalog) -> bool:
    return any(column.filter == "contains" for table in catalog.tables.values() for column in table.columns.values())


class _Examination:
    """The results so far."""

    def __init__(self, connection: psycopg.Connection[Any], settings: Settings, catalog: Catalog, watch: Watch) -> None:
        self.declared: Declared | None = None
        # None until the database accepts a context signed with the first key.
        self.signer: ContextSigner | None = None
        self._connection: Final = connection
        self._settings: Final = settings
        self._catalog: Final = catalog
        self._watch: Final = watch
        self._group = ""
        self._login = settings.database.login
        self._checks: Final[list[Check]] = []
        self._notices: Final[list[str]] = []
        self._proofs: RowProofs | None = None
        self._tenants = 0

    def run(self, *, exact: bool) -> None:
        """Make every check inside the open transaction; checks without a context come before those with one."""
        self._begin(Names.LOGIN)
        self._check("login", "The connection is that of database.login.", self._find_login)
        self._add(sql_checks(self._connection, self._login))
        self._begin(Names.DECLARED)
        self._check("catalogue", "What the database says of the declared relations can be read.", self._read)
        if self.declared is not None:
            accepted = self._settings.database.accepted_relations
            tools = self._catalog.sql_tools
            self._add(declared_checks(self._connection, self.declared, tools, accepted))
            self._look_without_context(self.declared, exact=exact)
        self._begin(Names.CONTEXTS)
        self._prove_contexts()
        if self._proofs is not None:
            self._begin(Names.ROWS)
            self._look_as_tenants(self._proofs)

    def compare(self, declared: Declared, signer: ContextSigner) -> None:
        """Compare with the administrator's counts, and name other roles that lose rows."""
        self._begin(Names.COUNTS)
        found = compare_with_administrator(self._settings.database, self._connection, signer, declared)
        self._add([found.check])
        self._notices.extend(found.notices)
        self._tenants = max(self._tenants, found.tenants)

    def report(self, duration_s: float) -> Report:
        """Return the report of all results."""
        facts: dict[str, RelationFacts] = dict(self.declared.facts) if self.declared else {}
        accepted = self._settings.database.accepted_relations
        reach: Mapping[str, Sequence[Grant]] = self.declared.reach if self.declared else {}
        return Report(
            login=self._login,
            checks=tuple(self._checks),
            duration_s=duration_s,
            facts=facts,
            notices=tuple(self._notices),
            proved=tuple(self._proofs.proved) if self._proofs else (),
            accepted=tuple(name for name in accepted if name in reach and is_accepted(name, reach[name], accepted)),
            tenants=self._tenants,
        )

    def _begin(self, group: str) -> None:
        """Let the next checks belong to `group`."""
        self._group = group
        self._watch.begins(group)

    def _add(self, checks: Iterable[Check]) -> None:
        for check in checks:
            self._checks.append(replace(check, group=self._group))
            self._watch.checked(self._checks[-1])

    def _check(self, name: str, purpose: str, find: Callable[[], Iterable[Offender]]) -> Check:
        check = made(name, purpose, self._connection, find)
        self._add([check])
        return check

    def _find_login(self) -> Iterator[Offender]:
        wanted = self._login
        ((session, current),) = self._connection.execute("SELECT session_user::text, current_user::text").fetchall()
        self._login = current
        for name in dict.fromkeys((session, current)):
            if name != wanted:
                remedy = "connect as the role that database.login names, or set database.login to this role"
                yield Offender(name, f"database.url logs in as {name}, but database.login is {wanted}", remedy)

    def _read(self) -> Iterable[Offender]:
        id_type = self._settings.tenancy.id_type
        self.declared = declared = read_declared(self._connection, self._catalog.tables, self._login, id_type)
        if any(one.letter_case == ASCII for one in declared.facts.values()) and _ignores_case(self._catalog):
            self._notices.append(
                "this database has no collation that knows letters beyond a to z, so filters ignore letter case only "
                "for a to z; use PostgreSQL 17 or newer, or one with ICU"
            )
        self._notices.extend(order_notices(declared.isolable, declared.facts))
        return ()

    def _prove_contexts(self) -> None:
        if (signer := self._signer()) is None:
            return
        for proof in CONTEXT_PROOFS:
            check = self._check(
                proof.name, proof.purpose, lambda proof=proof: proof.offenders(self._connection, signer)
            )
            if proof.name == "genuine_context" and check.holds:
                self.signer = signer
        if abs(signer.ahead_s) >= _CLOCK_NOTICE_S:
            self._notices.append(f"the clocks of this server and of the database differ by {abs(signer.ahead_s):.0f} s")

    def _signer(self) -> ContextSigner | None:
        """Return the signer for this database, None when its clock cannot be read."""
        found: list[ContextSigner] = []

        def ask() -> Iterable[Offender]:
            found.append(signer_of(self._connection, self._settings.database.signing_keys()))
            return ()

        check = made("clocks", "The clocks of this server and of the database agree.", self._connection, ask)
        if not check.holds:
            self._add([check])
        return found[0] if found else None

    def _look_without_context(self, declared: Declared, *, exact: bool) -> None:
        accepted = self._settings.database.accepted_relations
        self._notices.extend(acceptance_notices(self._connection, declared.reach, accepted))
        self._proofs = proofs = RowProofs(self._connection, declared, self._watch, exact=exact)

        def find() -> Iterable[Offender]:
            proofs.look_without_context()
            return proofs.without_context

        self._check("no_context", "Without a tenant context no row is seen, in any declared relation.", find)

    def _look_as_tenants(self, proofs: RowProofs) -> None:
        tenants = self._real_tenants()
        self._tenants = len(tenants)

        def find() -> Iterable[Offender]:
            if self.signer is not None:
                proofs.look_as(tenants, self.signer)
            return proofs.strangers

        self._check("foreign_rows", "A tenant that does not exist sees no row.", find)
        self._check("own_rows", "Every row that a real tenant sees is theirs.", lambda: proofs.foreign)
        self._notices.extend(proofs.notices)
        self._compare_rollups(tenants)

    def _compare_rollups(self, tenants: Sequence[str]) -> None:
        declared, signer = self.declared, self.signer
        if declared is not None and rollups_in(declared.tables):
            purpose = "What a roll-up says of a day is what the rows of that day say."
            self._check(
                "rollup_figures",
                purpose,
                lambda: figure_offenders(self._connection, declared, tenants, signer) if signer else (),
            )

    def _real_tenants(self) -> list[str]:
        if self.signer is None:
            return []
        if not self._settings.tenancy.registry:
            self._notices.append("without the registry no real tenant is known; `tenantgate doctor --admin` finds them")
            return []
        found: list[str] = []
        signer, id_type = self.signer, self._settings.tenancy.id_type

        def find() -> Iterable[Offender]:
            found.extend(registered_tenants(self._connection, signer, id_type))
            return ()

        self._check("real_tenants", "The registry shows its tenants to a context of the server's own.", find)
        if not found:
            self._notices.append("the registry has no active tenant, so no rows of a real tenant were looked at")
        return found
