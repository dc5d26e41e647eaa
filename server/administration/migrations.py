"""Bring a database to the schema of this version, then apply the operator's folders of migrations."""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, LiteralString, cast

import psycopg
from psycopg import sql

from server.administration.administrator import administrator
from server.administration.steps import run_steps, steps_of
from server.database.connecting import first_line
from server.errors import SettingsError, StartupError
from server.settings import SAMPLE
from sql import sample_folder, sql_files

_LEDGERS: Final[LiteralString] = """
CREATE SCHEMA IF NOT EXISTS tenantgate;
CREATE TABLE IF NOT EXISTS tenantgate.migrations (
  name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS tenantgate.own_migrations (
  name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
);
"""
# Names of this product that an application already uses. Checked before anything is changed.
_TAKEN: Final[LiteralString] = """
SELECT format('the schema %%I exists and is not tenantgate''s', nspname),
       'rename it, or use a database of its own'
FROM pg_catalog.pg_namespace
WHERE nspname IN ('tenancy', 'tenantgate') AND to_regclass('tenantgate.migrations') IS NULL
UNION ALL
SELECT format('the role %%I exists and can log in', rolname), 'rename it: this role owns the signing keys'
FROM pg_catalog.pg_roles WHERE rolname = 'tenancy_owner' AND (rolcanlogin OR rolsuper)
UNION ALL
SELECT format('the role %%I exists and has rights or settings of its own', r.rolname),
       format('set database.login to another name, or, if the role is meant for this server alone, run '
              'COMMENT ON ROLE %%I IS ''the login of tenantgate''', r.rolname)
FROM pg_catalog.pg_roles r
WHERE r.rolname = %(login)s AND shobj_description(r.oid, 'pg_authid') IS DISTINCT FROM 'the login of tenantgate'
  AND (r.rolsuper OR NOT r.rolcanlogin OR r.rolbypassrls OR r.rolconfig IS NOT NULL
       OR EXISTS (SELECT FROM pg_catalog.pg_shdepend d
                  WHERE d.refclassid = 'pg_authid'::regclass AND d.refobjid = r.oid)
       OR EXISTS (SELECT FROM pg_catalog.pg_auth_members m WHERE r.oid IN (m.member, m.roleid)))
"""
# Any fixed number: this lock stops two migrations of one database from running at once.
_LOCK: Final = 7_236_401_114


def migrate(  # noqa: PLR0913  # what to do, and two ways to follow it
    admin_url: str,
    report: Callable[[str], None],
    *,
    login: str = "app_user",
    folders: Iterable[str] = (),
    unverified_tls: Sequence[str] = (),
    begins: Callable[[str], None] = lambda _step: None,
) -> None:
    """Apply missing migrations, first the core's and then those of `folders`; `report` gets a line for each file.

    `begins` gets the step that comes next, which may take a while.
    A second run changes nothing. Raises StartupError when the database cannot be reached, a name is taken, the core's
    schema is newer than this version, or a step fails; SettingsError for a folder that does not exist.
    """
    own = _own_files(folders)
    with administrator(admin_url, unverified_tls) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        refuse_taken_names(connection, login)
        connection.execute(_LEDGERS)
        core = {file.name: file.read_text(encoding="utf-8") for file in sql_files("migrations")}
        if newer := sorted(_applied(connection, "migrations").keys() - core.keys()):
            raise StartupError(
                f"the database has the migration {newer[-1]}, which this version does not have; install the version "
                "that made it, or a newer one"
            )
        for ledger, files in (("migrations", core), ("own_migrations", own)):
            _apply_missing(connection, ledger, files, login, (report, begins))


def refuse_taken_names(connection: psycopg.Connection[Any], login: str) -> None:
    """Raise StartupError when the application uses names of this product; `connection` has psycopg's default cursor."""
    taken = connection.execute(_TAKEN, {"login": login}).fetchall()
    if taken:
        raise StartupError("nothing was changed: " + "; ".join(f"{problem}: {remedy}" for problem, remedy in taken))


def _own_files(folders: Iterable[str]) -> dict[str, str]:
    """Return the text of each numbered SQL file by its name: folder by folder, sorted by name within a folder."""
    found: dict[str, str] = {}
    for folder in folders:
        place = sample_folder() if folder == SAMPLE else Path(folder)
        if folder == SAMPLE and not place.is_dir():
            # The sample may have been deleted; then it has no migrations to apply.
            continue
        if not place.is_dir():
            raise SettingsError(f"migrations: the folder {folder} does not exist; correct its path")
        for file in sorted(place.glob("[0-9]*.sql")):
            if file.name in found:
                raise SettingsError(f"migrations: two folders contain a file {file.name}; rename one of them")
            found[file.name] = file.read_text(encoding="utf-8")
    return found


def _applied(connection: psycopg.Connection[Any], ledger: str) -> dict[str, str]:
    query = sql.SQL("SELECT name, sha256 FROM tenantgate.{} ORDER BY name").format(sql.Identifier(ledger))
    return dict(connection.execute(query).fetchall())


def _apply_missing(
    connection: psycopg.Connection[Any],
    ledger: str,
    files: Mapping[str, str],
    login: str,
    followed: tuple[Callable[[str], None], Callable[[str], None]],
) -> None:
    report, begins = followed
    applied = _applied(connection, ledger)
    for name, text in files.items():
        digest = hashlib.sha256(text.encode()).hexdigest()
        if name not in applied:
            begins(f"applying {name}")
            _apply(connection, ledger, name, for_login(text, login), digest)
            report(f"applied {name}")
        elif applied[name] != digest:
            raise StartupError(
                f"the migration {name} was changed after it was applied; restore its file, and put the change into a "
                "new one"
            )
        else:
            report(f"already there: {name}")


def for_login(text: str, login: str) -> str:
    """Return a migration with the login's name in place of `:"login"` and `:'login'` (psql's syntax of variables)."""
    quoted = {'"': sql.Identifier(login).as_string(), "'": sql.Literal(login).as_string()}
    return re.sub(r""":(["'])login\1""", lambda found: quoted[found[1]], text)


def _apply(connection: psycopg.Connection[Any], ledger: str, name: str, text: str, digest: str) -> None:
    record = sql.SQL("INSERT INTO tenantgate.{} (name, sha256) VALUES (%s, %s)").format(sql.Identifier(ledger))
    if steps := steps_of(text):
        run_steps(connection, name, steps)
        connection.execute(record, (name, digest))
        return
    try:
        with connection.transaction():
            # The text is a file of this package or of the operator, never input.
            connection.execute(cast("LiteralString", text))
            connection.execute(record, (name, digest))
    except psycopg.Error as error:
        raise StartupError(
            f"the migration {name} failed and was rolled back: {first_line(error)}; correct the cause, and run "
            "`tenantgate migrate` again"
        ) from error
