"""How the doctor asks the database: one connection and fixed settings; a check that cannot be made fails."""

import re
import time
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import psycopg
from psycopg import RawCursor

from server.database.connecting import connected, first_line, login_target
from server.database.session import SERVING, prepare
from server.doctor.offender import Offender
from server.doctor.report import Check
from server.errors import StartupError, TenantgateError, UnreachableError
from server.settings import DatabaseSettings

# Set for one transaction only, so that the next client of a pooler does not get them. PostgreSQL then writes names in
# full and without unnecessary quotes, and reads texts as in the SQL standard, whatever the database or role sets.
_SETTLED: Final = SERVING | {"transaction_read_only": "on", "idle_in_transaction_session_timeout": "0"}
# Errors that do not mean a failed check: the database was too busy, or somebody is changing a table.
LATER: Final = (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
_DENIED: Final = re.compile(r"permission denied for (table|view|relation|function) (\w+)")


@contextmanager
def login_connection(settings: DatabaseSettings) -> Generator[psycopg.Connection[Any]]:
    """Connect as the login in the same way as the pool, with psycopg's RawCursor.

    Raises UnreachableError when the database does not answer, now or later.
    """
    target = login_target(settings)
    try:
        with connected(target, cursor_factory=RawCursor) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise target.explained(error) from error
    except psycopg.Error as error:
        raise StartupError(f"the database cannot be queried ({target.words(error)}); check database.url") from error
    except TenantgateError:
        raise
    except Exception as error:  # a defect of the doctor proves nothing, but must not show a traceback
        said = f"{type(error).__name__}: {target.words(error)}"
        raise StartupError(f"doctor failed ({said}); report this line with your declarations") from error


@contextmanager
def settled(connection: psycopg.Connection[Any], timeout_ms: int) -> Generator[None]:
    """Open a read-only transaction with fixed settings, so that answers do not depend on defaults."""
    with connection.transaction():
        prepare(connection, _SETTLED | {"statement_timeout": f"{timeout_ms}ms"}, local=True)
        yield


def made(name: str, purpose: str, connection: psycopg.Connection[Any], find: Callable[[], Iterable[Offender]]) -> Check:
    """Run `find` inside the open transaction and return the check; it fails when `find` raises an error.

    Raises UnreachableError when the database is down or too busy.
    """
    began = time.monotonic()
    check = _made(name, purpose, connection, find)
    return replace(check, duration_s=time.monotonic() - began)


def _made(
    name: str, purpose: str, connection: psycopg.Connection[Any], find: Callable[[], Iterable[Offender]]
) -> Check:
    try:
        # Rolled back, so that locks on tables are not kept until the last check.
        with connection.transaction(force_rollback=True):
            return Check(name, purpose, tuple(find()))
    except LATER as error:
        raise UnreachableError(f"the check {name} cannot run now ({first_line(error)}); try again") from error
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        problem = f"this check cannot run: {first_line(error)}"
        return Check(name, purpose, (Offender(name, problem, _remedy(error, connection.info.user)),))
    except Exception as error:  # noqa: BLE001  # after a defect of the doctor, nothing may be served
        problem = f"this check failed: {type(error).__name__}: {first_line(error)}"
        return Check(name, purpose, (Offender(name, problem, "report this line with the declaration"),))


def _remedy(error: psycopg.Error, login: str) -> str:
    denied = _DENIED.match(error.diag.message_primary or "")
    if denied is None:
        return "run `tenantgate migrate`, and compare what it made with the database"
    if denied[1] == "function":
        return f"let {login} call the function again: GRANT EXECUTE ON FUNCTION pg_catalog.{denied[2]}(…) TO {login}"
    return f"let {login} read it again: GRANT SELECT ON pg_catalog.{denied[2]} TO {login}"
