"""What arbitrary SQL gets out of a database: all that an attacker sees, answers, notices and errors alike."""

from collections.abc import Sequence
from typing import Any

import psycopg

# In no statement of an attack, only in rows: whoever sees it has read another tenant's claim.
LOOT = "CLM-B"
# What tenancy.verified_context() says of every context that is not valid.
REFUSAL = "the tenant context is not valid"


async def outcome(connection: psycopg.AsyncConnection[Any], statements: Sequence[str], *, prepare: bool = False) -> str:
    """Run the statements in order; return "reads", "nothing", "refused", or the class of the error that ended them."""
    seen: list[str] = []
    connection.add_notice_handler(lambda diagnostic: seen.extend(_told(diagnostic)))
    connection.add_notify_handler(lambda notify: seen.append(notify.payload))
    ended = "nothing"
    for text in statements:
        try:
            seen += await _answers(connection, text, prepare=prepare)
        except psycopg.Error as error:
            seen += _told(error.diag)
            ended = "refused" if error.diag.message_primary == REFUSAL else type(error).__name__
            break
    return "reads" if any(LOOT in one for one in seen) else ended


async def _answers(connection: psycopg.AsyncConnection[Any], text: str, *, prepare: bool) -> list[str]:
    async with connection.cursor() as cursor:
        if text.startswith("COPY"):
            async with cursor.copy(text.encode()) as copy:
                return [bytes(block).decode() async for block in copy]
        await cursor.execute(text.encode(), prepare=prepare)
        return [str(row) async for result in cursor.results() if result.description for row in await result.fetchall()]


def _told(diagnostic: psycopg.errors.Diagnostic) -> list[str]:
    return [part for part in (diagnostic.message_primary, diagnostic.message_detail, diagnostic.message_hint) if part]
