"""The context keys as the database keeps them: in `tenancy.keys`, which the server's login cannot read."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, LiteralString

import psycopg
from psycopg.rows import class_row

from server.database.context_keys import CONTEXT_LIFETIME_S, ContextKey
from server.errors import StartupError

# A new key is logged if another key is: rotating keys does not switch logging off.
_ADD: Final[LiteralString] = """
INSERT INTO tenancy.keys (kid, inner_pad, outer_pad, logged)
SELECT %s, %s, %s, coalesce(bool_or(logged), false) FROM tenancy.keys
"""
_PUT: Final[LiteralString] = (
    _ADD
    + """
ON CONFLICT (kid) DO UPDATE SET inner_pad = excluded.inner_pad, outer_pad = excluded.outer_pad, not_after = NULL
"""
)
_LIST: Final[LiteralString] = "SELECT kid, added_at, not_after FROM tenancy.keys ORDER BY added_at, kid"
# A key that is already retired keeps its time: retiring it again does not extend it.
_RETIRE: Final[LiteralString] = """
UPDATE tenancy.keys SET not_after = least(not_after, now() + make_interval(secs => %s)) WHERE kid = %s
RETURNING not_after
"""
_LOG: Final[LiteralString] = "UPDATE tenancy.keys SET logged = %s WHERE logged <> %s"
_LOGGED: Final[LiteralString] = "SELECT count(*) FILTER (WHERE logged), count(*) FROM tenancy.keys"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What may be shown of a key: never its secret."""

    kid: str
    added_at: datetime
    not_after: datetime | None

    @property
    def state(self) -> Literal["valid", "retiring", "retired"]:
        """Whether contexts signed with it are accepted: always, only until `not_after`, or no longer."""
        if self.not_after is None:
            return "valid"
        return "retiring" if self.not_after > datetime.now(UTC) else "retired"


def put_key(connection: psycopg.Connection[Any], key: ContextKey) -> None:
    """Store `key`, so that contexts signed with it are accepted; it replaces a key with the same id."""
    connection.execute(_PUT, (key.kid, *key.pads()))


def add_key(connection: psycopg.Connection[Any], key: ContextKey) -> None:
    """Store a new key; raise StartupError when its id is taken."""
    try:
        connection.execute(_ADD, (key.kid, *key.pads()))
    except psycopg.errors.UniqueViolation:
        raise StartupError(f"the key id {key.kid} is already in use; choose another one with --kid") from None


def stored_keys(connection: psycopg.Connection[Any]) -> list[StoredKey]:
    """Return every key, the oldest first."""
    return connection.cursor(row_factory=class_row(StoredKey)).execute(_LIST).fetchall()


def free_kid(keys: list[StoredKey]) -> str:
    """Return the next id: k1, or k and the highest number in `keys` plus one."""
    numbers = [int(found[1]) for key in keys if (found := re.fullmatch(r"k([0-9]{1,9})", key.kid))]
    return f"k{max(numbers, default=0) + 1}"


def retire_key(connection: psycopg.Connection[Any], kid: str, *, force: bool = False) -> datetime:
    """Make the database refuse `kid` when all contexts signed with it until now have expired; return that time.

    Raises StartupError for an unknown key, and for the last valid one unless `force`.
    """
    with connection.transaction():
        # Otherwise two administrators at once could each retire the last key but one, and no key would be left.
        connection.execute("LOCK TABLE tenancy.keys IN SHARE ROW EXCLUSIVE MODE")
        keys = {key.kid: key for key in stored_keys(connection)}
        if kid not in keys:
            raise StartupError(f"the key id {kid} does not exist; run `tenantgate keys list` to see the ids")
        if not force and not any(key.state == "valid" for key in keys.values() if key.kid != kid):
            raise StartupError(
                f"{kid} is the last valid key, and without a key every call fails; add another one first with "
                "`tenantgate keys add`, or pass --force"
            )
        return connection.execute(_RETIRE, (CONTEXT_LIFETIME_S, kid)).fetchall()[0][0]


def log_contexts(connection: psycopg.Connection[Any], on: bool) -> None:
    """Switch the database's log of verified contexts on or off, from the next statement on."""
    connection.execute(_LOG, (on, on))


def logs_contexts(connection: psycopg.Connection[Any]) -> tuple[int, int]:
    """Return how many keys have their contexts logged, and how many keys there are."""
    logged, count = connection.execute(_LOGGED).fetchall()[0]
    return logged, count
