"""How every connection to PostgreSQL is made: for the pool, the doctor and the administrator's commands.

The URL's parameters are kept: options, application_name, connect_timeout, target_session_attrs, several hosts, sslmode.
We add no options to the start-up packet, because poolers refuse them; the first statement sets them instead.
"""

import asyncio
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import psycopg
from psycopg import AsyncRawCursor, Connection, conninfo, pq

from server.database.iam import token_for
from server.database.poolers import refusal, shares_sessions
from server.database.session import FORMS, SERVING, prepare
from server.database.transport import require_verified
from server.database.url import mistake_in
from server.errors import SettingsError, StartupError, UnreachableError
from server.settings import DatabaseSettings

Key = Literal["database.url", "database.admin_url"]
# Defaults for parameters that neither the URL nor libpq's environment sets.
_DEFAULTS: Final[Mapping[str, str]] = {
    "application_name": "tenantgate",
    "connect_timeout": "5",
    # A host that disappeared sends nothing, not even a reset.
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
}
_SHORTEST: Final = 4
_SHARED: Final = (
    "leads to a pooler in transaction mode (in PgBouncer: pool_mode = transaction), where clients share prepared "
    "statements and session settings"
)


@dataclass(frozen=True, slots=True)
class Target:
    """A database and a login, from one setting."""

    url: str = field(repr=False)
    key: Key
    unverified_tls: tuple[str, ...] = ()
    prepared_statements: bool = True
    iam: bool = False
    region: str | None = None

    def parameters(self) -> dict[str, Any]:
        """Return psycopg's connection parameters, with the password that the settings have now.

        Raises SettingsError for an ambiguous URL, and for a host whose certificate would not be verified;
        UnreachableError when AWS gives no token.
        """
        given = _read(self.url, self.key)
        environment = _of_the_environment()
        require_verified(environment | given, self.key, self.unverified_tls)
        if self.iam:
            given["password"] = token_for(environment | given, self.region)
        elif (fresh := _fresh_password(self)) is not None:
            given["password"] = fresh
        ours = {name: value for name, value in _DEFAULTS.items() if name not in environment}
        # The text of a statement is signed and sent in this encoding.
        return ours | given | self._for_a_reader(given) | {"client_encoding": "UTF8"}

    async def pooled(self) -> dict[str, Any]:
        """Return the parameters of a new connection for the server's pool, without blocking the event loop.

        This may read the settings file again, or ask AWS.
        """
        parameters = await asyncio.to_thread(self.parameters)
        threshold = 0 if self.prepared_statements else None
        return parameters | {"autocommit": True, "cursor_factory": AsyncRawCursor, "prepare_threshold": threshold}

    def _for_a_reader(self, given: Mapping[str, Any]) -> dict[str, str]:
        # The login's sessions are read-only, so no server would count as read-write. The primary is meant.
        asked = given.get("target_session_attrs")
        is_meant = self.key == "database.url" and asked == "read-write"
        return {"target_session_attrs": "primary"} if is_meant else {}

    def explained(self, error: psycopg.Error) -> StartupError:
        """Return an error of one line for an error of psycopg or the database: cause and remedy, without a password."""
        if (sentence := refusal(str(error), self.key)) is not None:
            return StartupError(sentence)
        return UnreachableError(f"the database cannot be reached ({self.words(error)}); check {self.key}")

    def words(self, error: BaseException) -> str:
        """Return the first line of a message, without the password if the driver repeats it."""
        line = first_line(error)
        for secret in _passwords(self.url):
            line = line.replace(secret, "…")
        return line


def login_target(settings: DatabaseSettings) -> Target:
    """Return the target of the server's login."""
    url = settings.url.get_secret_value()
    shared = (settings.unverified_tls, settings.prepared_statements, settings.iam, settings.region)
    return Target(url, "database.url", *shared)


@contextmanager
def connected(target: Target, *, cursor_factory: Any = psycopg.Cursor) -> Generator[Connection[Any]]:
    """Yield a connection in autocommit mode whose session is set up; it uses no named prepared statements.

    Raises SettingsError for a URL that cannot be used, StartupError for an unsuitable pooler, and UnreachableError when
    the database does not answer.
    """
    try:
        connection = open_connection(target, cursor_factory)
    except psycopg.OperationalError as error:
        raise target.explained(error) from error
    except psycopg.Error as error:
        raise StartupError(f"the database cannot be queried ({target.words(error)}); check {target.key}") from error
    with connection:
        yield connection


def open_connection(target: Target, cursor_factory: Any) -> Connection[Any]:
    """Return a connection with its session set up; raises psycopg's errors, and StartupError for a wrong pooler."""
    parameters = target.parameters()

    def connect() -> Connection[Any]:
        return Connection.connect(**parameters, autocommit=True, prepare_threshold=None, cursor_factory=cursor_factory)

    connection = connect()
    try:
        if target.prepared_statements:
            _require_own_session(target, connection, connect)
            prepare(connection, SERVING if target.key == "database.url" else FORMS)
    except BaseException:
        connection.close()
        raise
    return connection


def _require_own_session(target: Target, connection: Connection[Any], connect: Callable[[], Connection[Any]]) -> None:
    if shares_sessions(connection, connect):
        raise StartupError(f"{target.key} {_SHARED}; {_remedy(target.key)}")


def _remedy(key: Key) -> str:
    if key == "database.url":
        return "set database.prepared_statements = false, or use a pool in session mode"
    return "name the database itself there, or a pool in session mode: migrations need a session of their own"


def first_line(error: BaseException) -> str:
    """Return the first line of a driver's message, which names the cause."""
    return str(error).strip().split("\n", 1)[0]


def _read(url: str, key: Key) -> dict[str, Any]:
    if problem := mistake_in(url):
        raise SettingsError(f"{key} {problem}")
    try:
        return conninfo.conninfo_to_dict(url)
    except psycopg.Error:
        # libpq's message repeats the part that it could not read, which may be the end of a password.
        raise SettingsError(
            "the database cannot be queried (its URL cannot be read; percent-encode the user and the password, and "
            "name "
            f"only parameters that libpq knows); check {key}"
        ) from None


def _of_the_environment() -> dict[str, str]:
    """Return the parameters from libpq's environment variables, such as PGAPPNAME, or its service file."""
    return {
        one.keyword.decode(): one.val.decode()
        for one in pq.Conninfo.get_defaults()
        if one.val is not None and one.val != one.compiled
    }


def _passwords(url: str) -> Sequence[str]:
    """Return the password as written in the URL and as decoded."""
    try:
        meant = str(conninfo.conninfo_to_dict(url).get("password") or "")
    except psycopg.Error:
        meant = ""
    authority = url.partition("://")[2].rpartition("@")[0]
    # A shorter password would also match parts of other words.
    return [one for one in (authority.partition(":")[2], meant) if len(one) >= _SHORTEST]


def _fresh_password(target: Target) -> str | None:
    """Return the password that the settings have now, None without one or when another part of the URL differs.

    Only the password may change while the server runs: isolation was not proved on another host or database.
    """
    from server.configuration import current_settings

    settings = current_settings()
    if settings is None:
        return None
    database = settings.database
    secret = database.url if target.key == "database.url" else database.admin_url
    if mistake_in(secret.get_secret_value()):
        return None
    then, now = _read(target.url, target.key), _read(secret.get_secret_value(), target.key)
    password = now.pop("password", None)
    then.pop("password", None)
    return password if then == now else None
