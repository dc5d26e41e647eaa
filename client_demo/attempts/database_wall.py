"""The database as a wall: the rows that the service's login reads now, beside those that its owner sees."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, LiteralString, cast

from client_demo.attempts.others import TABLES, Others, counting
from client_demo.attempts.person import Person
from client_demo.attempts.report import Wall
from client_demo.attempts.session import Session, as_rows
from server.database.context_keys import CONTEXT_LIFETIME_S, parse_context_key
from server.database.statement import Row, Statement

Sign = Callable[[Statement[Any]], str]
_NOT_ALLOWED: Final = "(SQLSTATE 42501)"
_NO_OWNER: Final = "The owner's view of the database cannot be read, so nothing can be said of this wall."


@dataclass(frozen=True, slots=True)
class Seen:
    """The rows of each tenant that a session reads, by table; `refused` is the database's reason for reading none."""

    rows: Mapping[str, Mapping[str, int]]
    refused: str = ""
    is_complete: bool = True


def wrapped(text: str) -> Statement[Row]:
    """Return `text` as the server sends a tool's query: with its signed context, in one statement."""
    return Statement("attempt", cast("LiteralString", text.strip().rstrip(";")), Row, parameters=0)


def signing(context_key: str, person: Person) -> Sign:
    """Return what signs a statement for `person`, as a call of theirs would."""
    key = parse_context_key(context_key)

    def sign(statement: Statement[Any]) -> str:
        return key.sign(
            person=(person.issuer, person.subject),
            tenant=person.tenant or "",
            tier=person.tier or "",
            expiry_s=int(time.time()) + CONTEXT_LIFETIME_S,
            digest=statement.digest,
        )

    return sign


def look(session: Session, sign: Sign | None) -> Seen:
    """Count what the session reads of each protected table, with a signed context or as it is."""
    rows: dict[str, Mapping[str, int]] = {}
    refused = ""
    for table in TABLES:
        if not session.is_open:
            return Seen(rows, refused, is_complete=False)
        statement = counting(table)
        if sign is None:
            outcome = session.fetch(statement)
            found = outcome.tables
        else:
            whole = wrapped(statement.as_string())
            outcome = session.run(whole.text, sign(whole))
            found = [one for one in map(as_rows, outcome.tables) if one is not None]
        if outcome.cut or (outcome.error and _NOT_ALLOWED not in outcome.error):
            return Seen(rows, refused, is_complete=False)
        refused = refused or outcome.error
        rows[table] = {row[0]: int(row[1]) for one in found for row in one.rows}
    return Seen(rows, refused)


def judge(others: Others | None, seen: Seen, leaked: list[str], own: str | None, attempt: str) -> Wall:
    """Return what the wall did; `attempt` is the evidence of the attempt itself, empty when it only was filtered.

    `own` is the tenant whose rows may be read, None when no row may be.
    """
    if others is None:
        return Wall("database", "unknown", _NO_OWNER)
    foreign = {
        table: sum(count for tenant, count in tenants.items() if tenant != own) for table, tenants in seen.rows.items()
    }
    if leaked:
        return Wall("database", "failed", f"The answer has values of another tenant: {', '.join(leaked[:5])}.")
    if any(foreign.values()):
        counts = " and ".join(f"{count} of {table}" for table, count in foreign.items() if count)
        return Wall("database", "failed", f"Rows that must stay hidden can be read now: {counts}.")
    if not seen.is_complete:
        return Wall("database", "unknown", f"{attempt} The rows in reach could not be counted afterwards.".strip())
    return Wall("database", "stopped", f"{attempt} {_counted(others, seen, own)}".strip())


def _counted(others: Others, seen: Seen, own: str | None) -> str:
    parts = [
        f"{sum(seen.rows[table].values())} of {others.total(table)} rows in {table}"
        for table in TABLES
        if table in seen.rows
    ]
    who = "without a context" if own is None else f"with the context of {own}"
    counted = f"Row level security: {who}, the service's login reads {', '.join(parts)}; the owner reads all."
    return f"{counted} The database says: {seen.refused}." if seen.refused else counted
