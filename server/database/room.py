"""Whether the database allows as many connections as the workers may open."""

from dataclasses import dataclass
from typing import Any, Final, LiteralString

import psycopg
import structlog

from server.database.connecting import connected, login_target
from server.errors import StartupError
from server.settings import DatabaseSettings

# Each worker opens two more connections than its pool: one for readiness and one to prove isolation.
BESIDE_THE_POOL: Final = 2
_ASKED: Final[LiteralString] = """
SELECT pg_catalog.current_setting('max_connections')::int4,
  pg_catalog.current_setting('superuser_reserved_connections')::int4
    + coalesce(pg_catalog.current_setting('reserved_connections', true), '0')::int4,
  (SELECT rolconnlimit FROM pg_catalog.pg_roles WHERE rolname = current_user),
  (SELECT datconnlimit FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()),
  (SELECT count(*) FROM pg_catalog.pg_stat_activity
   WHERE backend_type = 'client backend' AND pid <> pg_catalog.pg_backend_pid())
"""
_log: Final = structlog.get_logger("database")


@dataclass(frozen=True, slots=True)
class Room:
    """How many connections this server may open at most, and the limits of the database."""

    needed: int
    maximum: int
    reserved: int
    of_login: int
    of_database: int
    used: int

    @property
    def possible(self) -> int:
        """How many connections the login can have when there are no others."""
        limits = (self.maximum - self.reserved, self.of_login, self.of_database)
        # -1 means that a role or a database has no limit.
        return min(one for one in limits if one >= 0)

    def __str__(self) -> str:
        limits = {"the login's": self.of_login, "the database's": self.of_database}
        others = "".join(f", {whose} own limit {limit}" for whose, limit in limits.items() if limit >= 0)
        return f"max_connections {self.maximum}, {self.reserved} of them reserved{others}"


def require_room(settings: DatabaseSettings, workers: int) -> None:
    """Raise StartupError if the database can never have that many connections; warn if it cannot at present.

    Nothing is checked behind a pooler that shares connections, or when the database does not answer.
    """
    if not settings.prepared_statements:
        return
    needed = settings.pool_size + BESIDE_THE_POOL * workers
    try:
        with connected(login_target(settings)) as connection:
            found: Any = connection.execute(_ASKED).fetchone()
    except (StartupError, psycopg.Error):
        return
    room = Room(needed, *found)
    asked = f"this server may open {needed} connections of the database (database.pool_size {settings.pool_size}, and "
    asked += f"{BESIDE_THE_POOL} for each of workers = {workers})"
    if needed > room.possible:
        raise StartupError(
            f"{asked}, but the login may have only {room.possible} ({room}); lower database.pool_size or raise that "
            "limit"
        )
    if needed > room.possible - room.used:
        _log.warning(
            f"{asked}, and others use many now; calls fail when none is left",
            possible=room.possible,
            used=room.used,
            limits=str(room),
        )
