"""Live proofs of the tenant context: a genuine one is accepted, all others are refused, and the clocks agree."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import psycopg

from server.database.context_keys import CONTEXT_LIFETIME_S, ContextKey, new_context_key
from server.database.statement import Statement
from server.doctor.offender import Offender

# This tenant need not exist: the proofs only ask which tenant the database enforces.
_TENANT: Final = "00000000-0000-4000-8000-1501a7100000"
_PERSON: Final = ("https://isolation.invalid", "proof")
# With a larger difference, contexts expire while they wait for a connection, or are accepted for too long.
CLOCKS_AGREE_S: Final = CONTEXT_LIFETIME_S / 2
# The refusal of tenancy.verified_context(), the same for every reason.
_REFUSAL: Final = "the tenant context is not valid"
_STATEMENT: Final = Statement("prove_isolation", "SELECT 1 AS one WHERE $1::int = 1", dict[str, int])
_OTHER: Final = Statement("prove_isolation_otherwise", "SELECT 2 AS two WHERE $1::int = 1", dict[str, int])


@dataclass(frozen=True, slots=True)
class ContextSigner:
    """Signs contexts that are valid for a minute by the database's clock, which is `ahead_s` ahead of this one."""

    keys: Sequence[ContextKey]
    ahead_s: float

    def sign(
        self,
        statement: Statement[Any],
        tenant: str,
        *,
        person: tuple[str, str] = _PERSON,
        key: ContextKey | None = None,
        lifetime_s: int = CONTEXT_LIFETIME_S,
    ) -> str:
        """Return a context for this one statement, signed with `key` or the first key."""
        expiry_s = int(time.time() + self.ahead_s) + lifetime_s
        chosen = key or self.keys[0]
        return chosen.sign(person=person, tenant=tenant, tier="", expiry_s=expiry_s, digest=statement.digest)


@dataclass(frozen=True, slots=True)
class ContextProof:
    """What must hold, and the function that checks it on the login's connection with the configured keys."""

    name: str
    purpose: str
    offenders: Callable[[psycopg.Connection[Any], ContextSigner], Iterator[Offender]]


def signer_of(connection: psycopg.Connection[Any], keys: Sequence[ContextKey]) -> ContextSigner:
    """Return the signer for this database, after reading the database's clock."""
    before = time.time()
    theirs = float(connection.execute("SELECT extract(epoch FROM clock_timestamp())").fetchall()[0][0])
    return ContextSigner(keys, theirs - (before + time.time()) / 2)


def clocks(_connection: psycopg.Connection[Any], signer: ContextSigner) -> Iterator[Offender]:
    """Yield the difference of the two clocks when it is too large."""
    if abs(signer.ahead_s) < CLOCKS_AGREE_S:
        return
    server_is_ahead = signer.ahead_s < 0
    effect = "accepted for longer than a minute" if server_is_ahead else "refused before their minute is over"
    yield Offender(
        "clocks",
        f"this server's clock is {abs(signer.ahead_s):.0f} s {'ahead of' if server_is_ahead else 'behind'} the "
        f"database's, so that tenant contexts are {effect}",
        "synchronize both clocks with the same time service (NTP)",
    )


def genuine_context(connection: psycopg.Connection[Any], signer: ContextSigner) -> Iterator[Offender]:
    """Yield the first key if the database does not accept it; the other keys may be retired already."""
    answer = _tenant_of(connection, signer.sign(_STATEMENT, _TENANT))
    if answer == _REFUSAL:
        yield Offender(
            f"database.context_keys: {signer.keys[0].kid}",
            "the database refuses contexts of this key: it does not have the key, has another secret for it, or "
            "retired it",
            "compare with `tenantgate keys list`; put a key that it lists first, or make one with `tenantgate keys "
            "add`",
        )
    elif answer != _TENANT:
        yield _wrong(f"a genuine context enforces {answer!r}")


def forged_context(connection: psycopg.Connection[Any], signer: ContextSigner) -> Iterator[Offender]:
    """Yield each forgery that is accepted."""
    genuine = signer.sign(_STATEMENT, _TENANT)
    stranger = replace(signer.keys[0], secret=new_context_key("x").secret)
    attempts = {
        "another tenant under the same signature": genuine.replace(_TENANT, "other", 1),
        "a signature that differs in its last digit": genuine[:-1] + ("1" if genuine[-1] == "0" else "0"),
        "no signature": genuine.rpartition("|")[0],
        "a signature with another secret": signer.sign(_STATEMENT, _TENANT, key=stranger),
        "an unknown key": signer.sign(_STATEMENT, _TENANT, key=new_context_key("isolation-proof")),
    }
    yield from _refused(connection, attempts)


def replayed_context(connection: psycopg.Connection[Any], signer: ContextSigner) -> Iterator[Offender]:
    """Yield a context that is accepted with another statement."""
    yield from _refused(connection, {"a context of another statement": signer.sign(_OTHER, _TENANT)})


def expired_context(connection: psycopg.Connection[Any], signer: ContextSigner) -> Iterator[Offender]:
    """Yield a context that is accepted after its time."""
    expired = signer.sign(_STATEMENT, _TENANT, lifetime_s=-CONTEXT_LIFETIME_S)
    yield from _refused(connection, {"an expired context": expired})


def plain_setting(connection: psycopg.Connection[Any], _signer: ContextSigner) -> Iterator[Offender]:
    """Yield each unsigned setting that is accepted."""
    yield from _refused(connection, {"a tenant's bare name": _TENANT, "another form": f"v1|{_TENANT}"})


def keys_out_of_reach(connection: psycopg.Connection[Any], _signer: ContextSigner) -> Iterator[Offender]:
    """Yield the keys if they can be read."""
    try:
        with connection.transaction():
            connection.execute("SELECT FROM tenancy.keys")
    except psycopg.errors.InsufficientPrivilege:
        return
    yield Offender("tenancy.keys", "the login can read it", "REVOKE ALL ON tenancy.keys FROM the login and PUBLIC")


CONTEXT_PROOFS: Final = (
    ContextProof("clocks", "The clocks of this server and of the database agree.", clocks),
    ContextProof(
        "genuine_context", "What the first configured key signs is accepted, and its tenant enforced.", genuine_context
    ),
    ContextProof(
        "forged_context", "A context that was tampered with, or signed with another key, is refused.", forged_context
    ),
    ContextProof("replayed_context", "A genuine context is refused with any other statement.", replayed_context),
    ContextProof("expired_context", "A genuine context is refused after its time.", expired_context),
    ContextProof("plain_setting", "A plain set_config, which any SQL text can run, is refused.", plain_setting),
    ContextProof("keys_out_of_reach", "The login cannot read the keys.", keys_out_of_reach),
)


def _tenant_of(connection: psycopg.Connection[Any], context: str) -> str | None:
    """Return the tenant that the database enforces under `context`, or the refusal."""
    try:
        # Rolled back, so that the next query does not see this context.
        with connection.transaction(force_rollback=True):
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
