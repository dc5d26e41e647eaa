"""`--prove`: count the rows that each role sees in each table before and after its SQL, which is rolled back."""

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, LiteralString, cast

import psycopg
from psycopg import sql

from server.adoption.decisions import Decisions
from server.adoption.migration_text import MigrationSection
from server.catalog.declarations import Through
from server.database.connecting import first_line
from server.errors import StartupError
from server.progress import SILENT, Progress

# Every role that can read the table now. SET ROLE also measures the roles that cannot log in.
_ROLES: Final[LiteralString] = """
SELECT r.rolname::text
FROM pg_catalog.pg_roles r, pg_catalog.pg_class t
WHERE t.oid = $1::oid AND r.rolname !~ '^pg_' AND r.rolname NOT IN ($2, 'tenancy_owner')
  AND has_schema_privilege(r.oid, t.relnamespace, 'USAGE') AND has_any_column_privilege(r.oid, t.oid, 'SELECT')
  AND pg_has_role(current_user, r.oid, 'MEMBER')
ORDER BY 1
"""
# The function that the SQL calls, for a database without `tenantgate migrate`; rolled back with everything else.
_STAND_INS: Final[LiteralString] = """
DO $body$
BEGIN
  IF to_regprocedure('tenancy.current_tenant()') IS NULL THEN
    CREATE SCHEMA IF NOT EXISTS tenancy;
    CREATE FUNCTION tenancy.current_tenant() RETURNS text LANGUAGE sql STABLE AS 'SELECT NULL::text';
  END IF;
END
$body$;
"""
_TRIES: Final = 20
_PAUSE_S: Final = 0.25
_BUSY: Final = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
_OWN_TRANSACTION: Final = re.compile(r"(?m)^(BEGIN|COMMIT);$")


@dataclass(frozen=True, slots=True)
class MeasuredRows:
    """How many rows of one table each role saw before and after; `problem` says why it could not be measured."""

    before: Mapping[str, int]
    after: Mapping[str, int]
    problem: str | None = None

    @property
    def holds(self) -> bool:
        """Whether every role saw as many rows after the SQL as before it."""
        return self.problem is None and self.before == self.after

    def as_json(self) -> dict[str, Any]:
        """Return {holds, roles: {name: [before, after]}, problem}."""
        roles = {role: [rows, self.after.get(role)] for role, rows in self.before.items()}
        return {"holds": self.holds, "roles": roles, **({"problem": self.problem} if self.problem else {})}


def prove(  # noqa: PLR0913, PLR0917  # what to prove, and how to wait and to follow it
    connection: psycopg.Connection[Any],
    decisions: Decisions,
    sections: Iterable[MigrationSection],
    login: str,
    shown: Progress = SILENT,
    pause: Callable[[float], None] = time.sleep,
) -> dict[str, MeasuredRows]:
    """Return the proof of each table that has SQL to apply.

    Each proof runs in a separate transaction that is rolled back. It locks the table and its parents, so other sessions
    wait while the rows are counted. Raises StartupError when a table stays busy.
    """
    by_name = {section.name: section for section in sections}
    proved: dict[str, MeasuredRows] = {}
    for name in by_name:
        if name in decisions.tables:
            shown.step(f"proving what each role sees: {name}")
            chain = [one for one in reversed(_ancestors(name, decisions)) if one in by_name]
            proved[name] = _prove(connection, decisions, [by_name[one] for one in chain], login, pause)
    return proved


def _prove(
    connection: psycopg.Connection[Any],
    decisions: Decisions,
    sections: Sequence[MigrationSection],
    login: str,
    pause: Callable[[float], None],
) -> MeasuredRows:
    name = sections[-1].name
    relation = decisions.database.relations[name]
    roles = [row[0] for row in connection.execute(_ROLES, (relation.oid, login)).fetchall()]
    table = relation.relation.identifier
    for _ in range(_TRIES):
        try:
            with connection.transaction(force_rollback=True):
                _prepare(connection, login)
                before = _rows(connection, table, roles)
                for section in sections:
                    for step in section.steps:
                        # Remove BEGIN and COMMIT: the step runs inside this transaction.
                        text = _OWN_TRANSACTION.sub("", step)
                        connection.execute(cast("LiteralString", text))
                return MeasuredRows(before, _rows(connection, table, roles))
        except _BUSY:
            pause(_PAUSE_S)
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            return MeasuredRows({}, {}, first_line(error))
    raise StartupError(
        f"{name} was locked by other sessions the whole time; run adopt --prove again when the table is less busy"
    )


def _prepare(connection: psycopg.Connection[Any], login: str) -> None:
    connection.execute("SET TRANSACTION READ WRITE")
    connection.execute(_STAND_INS)
    if not connection.execute("SELECT FROM pg_catalog.pg_roles WHERE rolname = $1", (login,)).fetchall():
        connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(login)))


def _rows(connection: psycopg.Connection[Any], table: sql.Identifier, roles: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    # Policies of the application may call functions that need the default search path.
    connection.execute("SET LOCAL search_path TO DEFAULT")
    for role in roles:
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        found[role] = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(table)).fetchall()[0][0]
        connection.execute("RESET ROLE")
    return found


def _ancestors(name: str, decisions: Decisions) -> list[str]:
    chain = [name]
    while isinstance(tenant := decisions.tables[chain[-1]].tenant, Through):
        chain.append(tenant.parent)
    return chain
