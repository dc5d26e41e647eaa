"""The administrator's connection: for migrations and keys alone, never for serving."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import psycopg

from server.errors import SettingsError, StartupError, UnreachableError

_CONNECT_S = 5


@contextmanager
def administrator(admin_url: str) -> Generator[psycopg.Connection[Any]]:
    """Connect in autocommit mode; what the database refuses becomes one line.

    Raises SettingsError without a URL, UnreachableError when there is no answer, StartupError for every refusal.
    """
    if not admin_url:
        raise SettingsError("database.admin_url is missing; set TENANTGATE_DATABASE__ADMIN_URL for this command")
    try:
        with psycopg.connect(admin_url, autocommit=True, connect_timeout=_CONNECT_S) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise UnreachableError(
            f"the database cannot be reached ({first_line(error)}); check database.admin_url"
        ) from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName) as error:
        raise StartupError(f"{first_line(error)}; run `tenantgate migrate` first") from error
    except psycopg.Error as error:
        raise StartupError(f"the database refused: {first_line(error)}; check the rights of this login") from error


def first_line(error: BaseException) -> str:
    """Return the first line of a driver's message, which names the cause."""
    return str(error).strip().split("\n", 1)[0]
