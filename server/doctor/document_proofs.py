"""Live proofs of isolation on the document store: each canary is seen by its own tier and tenant alone."""

import asyncio
import random
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

# A knowledge base throttles those who ask for everything at once.
_AT_ONCE: Final = 4
_QUESTION: Final = "tenantgate canary"
_WRITE: Final = "run `tenantgate documents canaries DIR`, then `tenantgate documents sync DIR`"
_NOT_FILTERED: Final = "use a document store that filters by labels, and bring the documents in again"
_ANOTHER_TENANT: Final = 'set documents.isolate_by to ["tier", "tenant_id"], or remove the label tenant_id'


@dataclass(slots=True)
class DocumentProof:
    """What the searches of one proof found: what offends, by check, and what it means for serving.

    `failure` is the error of a store that could not be asked. `leaking` are the tiers for which the store returned a
    passage that does not meet the conditions which it was asked with.
    """

    answers: list[Offender] = field(default_factory=list[Offender])
    filters: list[Offender] = field(default_factory=list[Offender])
    canaries: list[Offender] = field(default_factory=list[Offender])
    failure: ToolError | None = None
    leaking: frozenset[str] = frozenset()
    searches: int = 0

    @property
    def checks(self) -> tuple[Check, ...]:
        """Three checks; `documents_filter` alone is isolation itself.

        `documents_answer` also offends while the store is down, and `documents_canaries` while a canary is missing.
        """
        return (
            Check("documents_answer", "The document store answers this server.", tuple(self.answers)),
            Check("documents_filter", "The document store returns only what the filter allows.", tuple(self.filters)),
            Check(
                "documents_canaries", "The canary of every tier and tenant is seen by its own.", tuple(self.canaries)
            ),
        )


def document_checks(settings: Settings) -> tuple[Check, ...]:
    """Return the checks of the configured document store, none when there is no such setting; blocks for seconds.

    Raises SettingsError when the settings do not suffice for a store.
    """
    if settings.documents is None:
        return ()
    with closing(document_store(settings.documents)) as store:
        return asyncio.run(store_checks(store, settings.documents.isolate_by, settings.tenancy.tiers))


async def store_checks(store: DocumentStore, isolate_by: Sequence[str], tiers: Sequence[str]) -> tuple[Check, ...]:
    """Return the three checks of any document store."""
    return (await prove_documents(store, isolate_by, tiers)).checks


async def prove_documents(
    store: DocumentStore, isolate_by: Sequence[str], tiers: Sequence[str], tenants: int | None = None
) -> DocumentProof:
    """Search as every tier, as nobody, and as the tenants that have a canary, at most `tenants` of them at random."""
    proof = DocumentProof()
    try:
        await _examine(store, isolate_by, tiers, proof, tenants)
    except ToolError as error:
        proof.failure = error
        remedy = "compare the settings of [documents] and the rights of the server's role"
        # An operator reads this: the store's own words belong here, and no caller's question is in them.
        reason = f" ({error.__cause__})" if error.__cause__ else ""
        proof.answers.append(Offender("documents", f"{error}{reason}", remedy))
    return proof


async def _examine(
    store: DocumentStore, isolate_by: Sequence[str], tiers: Sequence[str], proof: DocumentProof, tenants: int | None
) -> None:
    places = asyncio.Semaphore(_AT_ONCE)

    async def seen(*conditions: Condition) -> list[Mapping[str, Any]]:
        async with places:
            proof.searches += 1
            return [one.labels for one in await store.search(_QUESTION, conditions, MAXIMUM_PASSAGES)]

    canaries = {_owner(one) for one in await seen(CANARIES) if CANARIES.holds(one)}
    for tier in tiers:
        if not any(label == tier for label, _ in canaries):
            proof.canaries.append(Offender(f"the canary of {tier}", "it is not in the document store", _WRITE))
    isolations = [Isolation(tier, tenant, isolate_by) for tier, tenant in _contexts(tiers, canaries, tenants)]
    # A second search asks for canaries alone: in the first they may rank below other documents.
    searches = [seen(*one.conditions, *also) for one in isolations for also in ((), (CANARIES,))]
    found = await asyncio.gather(*searches)
    for isolation, *pages in zip(isolations, found[::2], found[1::2], strict=True):
        _judge([*pages[0], *pages[1]], isolation, canaries, proof)


def _judge(
    seen: list[Mapping[str, Any]], isolation: Isolation, canaries: set[tuple[Any, Any]], proof: DocumentProof
) -> None:
    who = f"{isolation.tier}, {isolation.tenant}"
    proof.filters.extend(_foreign(seen, isolation, who))
    if not all(condition.holds(labels) for condition in isolation.conditions for labels in seen):
        proof.leaking |= {isolation.tier}
    for canary in sorted(canaries - {_owner(one) for one in seen}, key=str):
        if isolation.admits(_labels(canary)):
            name = f"the canary of {canary[0]}, {canary[1]}"
            proof.canaries.append(Offender(name, f"it is not seen by {who}", _WRITE))


def _contexts(tiers: Sequence[str], canaries: set[tuple[Any, Any]], tenants: int | None) -> Iterator[tuple[str, str]]:
    """Yield every tier with a made-up tenant, a made-up tier, and every tenant that has a canary, or `tenants`."""
    stranger = f"nobody-{secrets.token_hex(8)}"
    yield from ((tier, stranger) for tier in (*tiers, stranger))
    own = {one for one in canaries if all(isinstance(label, str) for label in one) and one[1] != SHARED_TENANT}
    known = sorted((tier, tenant) for tier, tenant in own if tier in tiers)
    yield from known if tenants is None else random.sample(known, min(tenants, len(known)))


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
