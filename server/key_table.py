"""The context keys as the database keeps them: `tenancy.keys`, out of the server's login's reach."""

from typing import Any, Final, LiteralString

import psycopg

from server.context_keys import ContextKey

_ADD: Final[LiteralString] = """
INSERT INTO tenancy.keys (kid, inner_pad, outer_pad) VALUES (%s, %s, %s)
ON CONFLICT (kid) DO UPDATE SET inner_pad = excluded.inner_pad, outer_pad = excluded.outer_pad, not_after = NULL
"""


def put_key(connection: psycopg.Connection[Any], key: ContextKey) -> None:
    """Store `key` so that contexts signed with it are accepted, replacing one of the same id."""
    connection.execute(_ADD, (key.kid, *key.pads()))
