"""Live proofs of isolation on the document store: each canary is seen by its own tier and tenant alone."""

import asyncio
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

from server.doctor.examination import Check
from server.doctor.offender import Offender
from server.documents.configured import document_store
from server.documents.isolation import CANARIES, SHARED_TENANT, Isolation
from server.documents.store import MAXIMUM_PASSAGES, Condition, DocumentStore
from server.errors import ToolError
from server.settings import Settings

_QUESTION: Final = "tenantgate canary"
_WRITE: Final = "run `tenantgate documents canaries DIR`, then `tenantgate documents sync DIR`"
_NOT_FILTERED: Final = "use a document store that filters by labels, and bring the documents in again"
_ANOTHER_TENANT: Final = 'set documents.isolate_by to ["tier", "tenant_id"], or remove the label tenant_id'


@dataclass(slots=True)
class _Offenders:
    """What offends, by check."""

    answers: list[Offender] = field(default_factory=list[Offender])
    filters: list[Offender] = field(default_factory=list[Offender])
    canaries: list[Offender] = field(default_factory=list[Offender])


def document_checks(settings: Settings) -> tuple[Check, ...]:
    """Return the checks of the configured document store, none when there is no such setting; blocks for seconds.

    Raises SettingsError when the settings do not suffice for a store.
    """
    if settings.documents is None:
        return ()
    with closing(document_store(settings.documents)) as store:
        return asyncio.run(store_checks(store, settings.documents.isolate_by, settings.tenancy.tiers))


async def store_checks(store: DocumentStore, isolate_by: Sequence[str], tiers: Sequence[str]) -> tuple[Check, ...]:
    """Return three checks of any document store.

    `documents_filter` alone is isolation itself; `documents_answer` also offends while the store is down, and
    `documents_canaries` while a canary is missing.
    """
    found = _Offenders()
    try:
        await _examine(store, isolate_by, tiers, found)
    except ToolError as error:
        remedy = "compare the settings of [documents] and the rights of the server's role"
        # An operator reads this: the store's own words belong here, and no caller's question is in them.
        reason = f" ({error.__cause__})" if error.__cause__ else ""
        found.answers.append(Offender("documents", f"{error}{reason}", remedy))
    return (
        Check("documents_answer", "The document store answers this server.", tuple(found.answers)),
        Check("documents_filter", "The document store returns only what the filter allows.", tuple(found.filters)),
        Check("documents_canaries", "The canary of every tier and tenant is seen by its own.", tuple(found.canaries)),
    )


async def _examine(store: DocumentStore, isolate_by: Sequence[str], tiers: Sequence[str], found: _Offenders) -> None:
    canaries = {_owner(one) for one in await _seen(store, (CANARIES,)) if CANARIES.holds(one)}
    for tier in tiers:
        if not any(label == tier for label, _ in canaries):
            found.canaries.append(Offender(f"the canary of {tier}", "it is not in the document store", _WRITE))
    for tier, tenant in _contexts(tiers, canaries):
        isolation = Isolation(tier, tenant, isolate_by)
        # A second search asks for canaries alone: in the first they may rank below other documents.
        seen = [
            *await _seen(store, isolation.conditions),
            *await _seen(store, (*isolation.conditions, CANARIES)),
        ]
        found.filters.extend(_foreign(seen, isolation, f"{tier}, {tenant}"))
        for canary in sorted(canaries - {_owner(one) for one in seen}, key=str):
            if isolation.admits(_labels(canary)):
                name = f"the canary of {canary[0]}, {canary[1]}"
                found.canaries.append(Offender(name, f"it is not seen by {tier}, {tenant}", _WRITE))


def _contexts(tiers: Sequence[str], canaries: set[tuple[Any, Any]]) -> Iterator[tuple[str, str]]:
    """Yield every tier with a made-up tenant, every tenant that has a canary, and a made-up tier."""
    stranger = f"nobody-{secrets.token_hex(8)}"
    yield from ((tier, stranger) for tier in (*tiers, stranger))
    own = {one for one in canaries if all(isinstance(label, str) for label in one) and one[1] != SHARED_TENANT}
    yield from sorted((tier, tenant) for tier, tenant in own if tier in tiers)


async def _seen(store: DocumentStore, conditions: Sequence[Condition]) -> list[Mapping[str, Any]]:
    return [one.labels for one in await store.search(_QUESTION, conditions, MAXIMUM_PASSAGES)]


def _foreign(seen: list[Mapping[str, Any]], isolation: Isolation, who: str) -> Iterator[Offender]:
    """Yield one offender for each tier and tenant that the store returns and `isolation` does not admit."""
    remedies: dict[str, str] = {}
    for labels in seen:
        if not isolation.admits(labels):
            filtered = all(condition.holds(labels) for condition in isolation.conditions)
            remedies[str(_owner(labels))] = _ANOTHER_TENANT if filtered else _NOT_FILTERED
    for owner, remedy in sorted(remedies.items()):
        yield Offender("the document store", f"a document labelled {owner} is returned for {who}", remedy)


def _owner(labels: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the tier and the tenant that the labels name, None for one that they do not."""
    tier, tenant = labels.get("tier"), labels.get("tenant_id")
    return (tier if isinstance(tier, str) else None, tenant if isinstance(tenant, str) else None)


def _labels(owner: tuple[str | None, str | None]) -> dict[str, str]:
    return {key: value for key, value in zip(("tier", "tenant_id"), owner, strict=True) if value is not None}
