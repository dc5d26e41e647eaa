"""Live proofs of isolation: what the login can and cannot do with genuine, forged and stale contexts."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, LiteralString, cast

import psycopg
from psycopg import sql

from server.database.context_keys import CONTEXT_LIFETIME_S, ContextKey, new_context_key
from server.database.statement import Statement
from server.doctor.offender import Offender


@dataclass(frozen=True, slots=True)
class Proof:
    """What must hold, and how to find out, on the login's connection with the configured keys."""

    name: str
    purpose: str
    offenders: Callable[[psycopg.Connection[Any], Sequence[ContextKey]], Iterator[Offender]]


# No such tenant is needed, nor should there be one: with a genuine context of it, no row may be seen. It is a UUID, so
# that a tenant column of that type can be compared with it.
_TENANT: Final = "00000000-0000-4000-8000-1501a7100000"
_PERSON: Final = ("https://isolation.invalid", "proof")
# The refusal of tenancy.verified_context(), the same for every reason.
_REFUSAL: Final = "the tenant context is not valid"
_STATEMENT: Final = Statement("prove_isolation", "SELECT 1 AS one WHERE $1::int = 1", dict[str, int])
_OTHER: Final = Statement("prove_isolation_otherwise", "SELECT 2 AS two WHERE $1::int = 1", dict[str, int])

# Everything in reach that could hold rows of tenants, views included.
_READABLE: Final[LiteralString] = """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')
  AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
ORDER BY 1, 2
"""


def genuine_context(connection: psycopg.Connection[Any], keys: Sequence[ContextKey]) -> Iterator[Offender]:
    """Yield the signing key if the database does not accept it; the keys after it may be retired already."""
    answer = _tenant_of(connection, _context(keys[0]))
    if answer == _REFUSAL:
        yield Offender(
            f"database.context_keys: {keys[0].kid}",
            "the database refuses what this key signs: it does not know the key, has another secret for it or retired "
            "it, or the two clocks disagree",
            "compare with `tenantgate keys list`; put one that it knows first, or make one with `tenantgate keys add`",
        )
    elif answer != _TENANT:
        yield _wrong(f"a genuine context enforces {answer!r}")


def forged_context(connection: psycopg.Connection[Any], keys: Sequence[ContextKey]) -> Iterator[Offender]:
    """Yield each forgery that is accepted."""
    genuine = _context(keys[0])
    attempts = {
        "another tenant under the same signature": genuine.replace(_TENANT, "other", 1),
        "a signature that differs in its last digit": genuine[:-1] + ("1" if genuine[-1] == "0" else "0"),
        "no signature": genuine.rpartition("|")[0],
        "a signature with another secret": _context(replace(keys[0], secret=new_context_key("x").secret)),
        "an unknown key": _context(new_context_key("isolation-proof")),
    }
    yield from _refused(connection, attempts)


def replayed_context(connection: psycopg.Connection[Any], keys: Sequence[ContextKey]) -> Iterator[Offender]:
    """Yield a context that is accepted with another statement."""
    yield from _refused(connection, {"a context of another statement": _context(keys[0], statement=_OTHER)})


def expired_context(connection: psycopg.Connection[Any], keys: Sequence[ContextKey]) -> Iterator[Offender]:
    """Yield a context that is accepted after its time."""
    yield from _refused(connection, {"an expired context": _context(keys[0], lifetime_s=-CONTEXT_LIFETIME_S)})


def plain_setting(connection: psycopg.Connection[Any], _keys: Sequence[ContextKey]) -> Iterator[Offender]:
    """Yield each bare setting that is accepted."""
    yield from _refused(connection, {"a tenant's bare name": _TENANT, "another form": f"v1|{_TENANT}"})


def no_context(connection: psycopg.Connection[Any], _keys: Sequence[ContextKey]) -> Iterator[Offender]:
    """Yield each table or view that shows rows to a session without a tenant."""
    tenant = connection.execute("SELECT tenancy.current_tenant()").fetchall()[0][0]
    if tenant is not None:
        yield _wrong(f"without a context the tenant is {tenant!r}")
    for table in _readable(connection):
        if connection.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(table)).fetchall()[0][0]:
            yield Offender(_name(table), "rows are seen without a tenant context", "see the other checks of this table")


def foreign_rows(connection: psycopg.Connection[Any], keys: Sequence[ContextKey]) -> Iterator[Offender]:
    """Yield each table or view that shows rows to a tenant that has none."""
    if _tenant_of(connection, _context(keys[0])) != _TENANT:
        return  # the first proof tells of it
    for table in _readable(connection):
        # Made of names that the database gave, quoted.
        text = cast("LiteralString", f"SELECT 1 AS one FROM {table.as_string()} WHERE $1::int = 1 LIMIT 1")
        statement = Statement("prove_isolation", text, dict[str, int])
        try:
            rows = connection.execute(statement.sent, (1, _context(keys[0], statement=statement))).fetchall()
        except psycopg.DataError:
            continue  # a tenant column of a type, a number say, that has no such tenant: the policy was asked
        if rows[0][1] != "[]":
            yield Offender(_name(table), "rows of other tenants are seen", "see the other checks of this table")


def keys_out_of_reach(connection: psycopg.Connection[Any], _keys: Sequence[ContextKey]) -> Iterator[Offender]:
    """Yield the keys if they can be read."""
    try:
        connection.execute("SELECT FROM tenancy.keys")
    except psycopg.errors.InsufficientPrivilege:
        return
    yield Offender("tenancy.keys", "the login can read it", "REVOKE ALL ON tenancy.keys FROM the login and PUBLIC")


PROOFS: Final = (
    Proof(
        "genuine_context", "What the first configured key signs is accepted, and its tenant enforced.", genuine_context
    ),
    Proof(
        "forged_context", "A context that was tampered with, or signed with another key, is refused.", forged_context
    ),
    Proof("replayed_context", "A genuine context is refused with any statement but its own.", replayed_context),
    Proof("expired_context", "A genuine context is refused after its time.", expired_context),
    Proof("plain_setting", "A plain set_config, of which every SQL text is capable, is refused.", plain_setting),
    Proof("no_context", "Without a context no row is seen, in any table or view in reach.", no_context),
    Proof("foreign_rows", "A tenant that has no rows sees none, in any table or view in reach.", foreign_rows),
    Proof("keys_out_of_reach", "The login cannot read the keys.", keys_out_of_reach),
)


def _context(key: ContextKey, *, statement: Statement[Any] = _STATEMENT, lifetime_s: int = CONTEXT_LIFETIME_S) -> str:
    expiry_s = int(time.time()) + lifetime_s
    return key.sign(person=_PERSON, tenant=_TENANT, tier="", expiry_s=expiry_s, digest=statement.digest)


def _tenant_of(connection: psycopg.Connection[Any], context: str) -> str | None:
    """Return the tenant that the database enforces under `context`, or the refusal."""
    try:
        return connection.execute(_STATEMENT.sent, (1, context)).fetchall()[0][0]
    except psycopg.errors.InsufficientPrivilege as error:
        if error.diag.message_primary == _REFUSAL:
            return _REFUSAL
        raise


def _refused(connection: psycopg.Connection[Any], attempts: Mapping[str, str]) -> Iterator[Offender]:
    for what, context in attempts.items():
        answer = _tenant_of(connection, context)
        if answer != _REFUSAL:
            yield _wrong(f"{what} is accepted: the tenant is {answer!r}")


def _wrong(problem: str) -> Offender:
    return Offender("tenancy.verified_context()", problem, "restore the function as sql/migrations defines it")


def _readable(connection: psycopg.Connection[Any]) -> list[sql.Identifier]:
    return [sql.Identifier(*map(str, row)) for row in connection.execute(_READABLE).fetchall()]


def _name(table: sql.Identifier) -> str:
    return table.as_string().replace('"', "")
