"""How the doctor asks the database: one connection, fixed settings, and a check that cannot be made offends."""

import re
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import RawCursor

from server.database.connecting import connected, first_line, login_target
from server.database.session import SERVING, prepare
from server.doctor.offender import Offender
from server.doctor.report import Check
from server.errors import StartupError, TenantgateError, UnreachableError
from server.settings import DatabaseSettings

# For one transaction alone, so that a pooler's next client never meets them. Names are written in full and without
# needless quotes, and texts are read as the SQL standard has them, whatever the database or the role says otherwise.
_SETTLED: Final = SERVING | {"transaction_read_only": "on", "idle_in_transaction_session_timeout": "0"}
# No mistake of the database: it was too busy just now, or somebody changes a table at this moment.
LATER: Final = (psycopg.errors.QueryCanceled, psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)
_DENIED: Final = re.compile(r"permission denied for (table|view|relation|function) (\w+)")


@contextmanager
def login_connection(settings: DatabaseSettings) -> Generator[psycopg.Connection[Any]]:
    """Connect as the login, exactly as the pool does, with psycopg's RawCursor.

    Raises UnreachableError when the database does not answer, then or later.
    """
    target = login_target(settings)
    try:
        with connected(target, cursor_factory=RawCursor) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise target.explained(error) from error
    except psycopg.Error as error:
        raise StartupError(f"the database cannot be asked ({target.words(error)}); check database.url") from error
    except TenantgateError:
        raise
    except Exception as error:  # a mistake of the doctor's own is no proof, and no reason for a traceback
        said = f"{type(error).__name__}: {target.words(error)}"
        raise StartupError(f"the doctor failed ({said}); report it, with this line and the declarations") from error


@contextmanager
def settled(connection: psycopg.Connection[Any], timeout_ms: int) -> Generator[None]:
    """Open one transaction that only reads, under settings on which the answers do not depend otherwise."""
    with connection.transaction():
        prepare(connection, _SETTLED | {"statement_timeout": f"{timeout_ms}ms"}, local=True)
        yield


def made(name: str, purpose: str, connection: psycopg.Connection[Any], find: Callable[[], Iterable[Offender]]) -> Check:
    """Return the check that `find` makes inside the open transaction; when it cannot be made, that is what offends.

    Raises UnreachableError when the database is away, or too busy to answer now.
    """
    try:
        # Undone, so that no lock on a table is kept until all checks are made.
        with connection.transaction(force_rollback=True):
            return Check(name, purpose, tuple(find()))
    except LATER as error:
        raise UnreachableError(f"the check {name} cannot be made now ({first_line(error)}); try again") from error
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        problem = f"this check cannot be made: {first_line(error)}"
        return Check(name, purpose, (Offender(name, problem, _remedy(error, connection.info.user)),))
    except Exception as error:  # noqa: BLE001  # a mistake of the doctor's own must not let anything be served
        problem = f"this check failed: {type(error).__name__}: {first_line(error)}"
        return Check(name, purpose, (Offender(name, problem, "report it, with this line and the declaration"),))


def _remedy(error: psycopg.Error, login: str) -> str:
    denied = _DENIED.match(error.diag.message_primary or "")
    if denied is None:
        return "run `tenantgate migrate`, and compare what it made with the database"
    if denied[1] == "function":
        return f"let {login} call the function again: GRANT EXECUTE ON FUNCTION pg_catalog.{denied[2]}(…) TO {login}"
    return f"let {login} read it again: GRANT SELECT ON pg_catalog.{denied[2]} TO {login}"
