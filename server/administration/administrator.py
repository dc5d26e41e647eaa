"""The administrator's connection: for administration commands only, never for serving."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from server.database.connecting import Target, connected
from server.errors import SettingsError, StartupError


@contextmanager
def administrator(admin_url: str, unverified_tls: Sequence[str] = ()) -> Generator[psycopg.Connection[Any]]:
    """Connect in autocommit mode; an error of the database becomes one line.

    `unverified_tls` are the hosts of the setting with that name. Raises SettingsError without a URL, UnreachableError
    when the database does not answer, StartupError for every other error.
    """
    if not admin_url:
        raise SettingsError("database.admin_url is missing; set TENANTGATE_DATABASE__ADMIN_URL for this command")
    target = Target(admin_url, "database.admin_url", tuple(unverified_tls))
    try:
        with connected(target) as connection:
            yield connection
    except psycopg.OperationalError as error:
        raise target.explained(error) from error
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName) as error:
        raise StartupError(f"{target.words(error)}; run `tenantgate migrate` first") from error
    except psycopg.errors.ReadOnlySqlTransaction as error:
        raise StartupError(
            f"the database is read-only ({target.words(error)}): it is a replica, or default_transaction_read_only is "
            "on; set database.admin_url to the primary, or add target_session_attrs=read-write to it"
        ) from error
    except psycopg.Error as error:
        raise StartupError(
            f"the database refused the command: {target.words(error)}; check the rights of the login in "
            "database.admin_url"
        ) from error
