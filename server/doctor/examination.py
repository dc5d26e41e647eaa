"""Prove isolation on the configured database: every check of `sql/checks`, and live proofs as the login itself."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.resources.abc import Traversable
from typing import Any, Final, LiteralString, cast

import psycopg
from psycopg import RawCursor

from server.administration.administrator import first_line
from server.catalog.facts import RelationFacts, read_facts
from server.catalog.loading import Catalog
from server.database.context_keys import ContextKey
from server.doctor.database_proofs import PROOFS, Proof
from server.doctor.offender import Offender
from server.errors import SettingsError, UnreachableError
from server.settings import DatabaseSettings, Settings
from sql import checks_prelude, sql_files

_CONNECT_S: Final = 5


@dataclass(frozen=True, slots=True)
class Check:
    """One question that was put to the database: `offenders` is empty when all is well."""

    name: str
    purpose: str
    offenders: tuple[Offender, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing offends."""
        return not self.offenders


@dataclass(frozen=True, slots=True)
class Report:
    """Every check, and the login and the duration in seconds that they were made with."""

    login: str
    checks: tuple[Check, ...]
    duration_s: float
    facts: Mapping[str, RelationFacts]

    @property
    def holds(self) -> bool:
        """Whether every check holds."""
        return all(check.holds for check in self.checks)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that do not hold."""
        return tuple(check for check in self.checks if not check.holds)

    def as_json(self) -> dict[str, Any]:
        """Return {ok, checks: [{name, ok, offenders: [{object, problem, remedy}]}]}."""
        return {
            "ok": self.holds,
            "checks": [
                {"name": check.name, "ok": check.holds, "offenders": [asdict(one) for one in check.offenders]}
                for check in self.checks
            ],
        }


def examine(settings: Settings, catalog: Catalog) -> Report:
    """Run every check and proof through `database.url` with `database.context_keys`.

    Raises SettingsError when either is missing, UnreachableError when the database does not answer.
    """
    database = settings.database
    url = database.url.get_secret_value()
    if not url:
        raise SettingsError("database.url is missing; set it to the login app_user's connection")
    if not database.context_keys:
        raise SettingsError("database.context_keys is empty; make a key with `tenantgate keys add` and set it")
    began = time.monotonic()
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=_CONNECT_S, cursor_factory=RawCursor) as connection:
            login = str(connection.execute("SELECT current_user").fetchall()[0][0])
            checks = (*catalog_checks(connection, login), *_live_proofs(connection, database))
            facts = read_facts(connection, catalog.tables)
    except psycopg.OperationalError as error:
        raise UnreachableError(f"the database cannot be reached ({first_line(error)}); check database.url") from error
    return Report(login, checks, time.monotonic() - began, facts)


def catalog_checks(connection: psycopg.Connection[Any], login: str) -> Iterator[Check]:
    """Yield the answer of each file of `sql/checks` about `login`; every role can read what they ask."""
    for file in sql_files("checks"):
        yield run_check(connection, file, login)


def run_check(connection: psycopg.Connection[Any], file: Traversable, login: str) -> Check:
    """Run one select that returns offenders as (object, problem, remedy); its first line says what it is for."""
    text = file.read_text(encoding="utf-8")
    # Files of this package, never input; the login is the only parameter.
    rows = connection.execute(cast("LiteralString", checks_prelude() + text), (login,)).fetchall()
    purpose = text.partition("\n")[0].removeprefix("-- ")
    return Check(file.name.removesuffix(".sql"), purpose, tuple(Offender(*map(str, row)) for row in rows))


def _live_proofs(connection: psycopg.Connection[Any], settings: DatabaseSettings) -> Iterator[Check]:
    keys = settings.signing_keys()
    for proof in PROOFS:
        yield Check(proof.name, proof.purpose, _offenders(proof, connection, keys))


def _offenders(proof: Proof, connection: psycopg.Connection[Any], keys: Sequence[ContextKey]) -> tuple[Offender, ...]:
    try:
        return tuple(proof.offenders(connection, keys))
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        # Whatever it is, it is not the answer that isolation gives.
        return (Offender("database", f"an unexpected answer: {first_line(error)}", "run `tenantgate migrate`"),)
