"""Live proofs of isolation on the document store: only its own tier and tenant see a canary."""

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

# A knowledge base throttles clients that send all searches at once.
_AT_ONCE: Final = 4
_QUESTION: Final = "tenantgate canary"
_WRITE: Final = "run `tenantgate documents canaries DIR`, then `tenantgate documents sync DIR`"
_NOT_FILTERED: Final = "use a document store that filters by labels, and ingest the documents again"
_ANOTHER_TENANT: Final = 'set documents.isolate_by to ["tier", "tenant_id"], or remove the label tenant_id'


@dataclass(slots=True)
class DocumentProof:
    """The result of one proof: the offenders by check, and what they mean for serving.

    `failure` is the error of a store that could not be asked. `leaking` are the tiers for which the store returned a
    passage that does not meet the conditions of the search.
    """

    answers: list[Offender] = field(default_factory=list[Offender])
    filters: list[Offender] = field(default_factory=list[Offender])
    canaries: list[Offender] = field(default_factory=list[Offender])
    failure: ToolError | None = None
    leaking: frozenset[str] = frozenset()
    searches: int = 0

    @property
    def checks(self) -> tuple[Check, ...]:
        """Three checks; only `documents_filter` checks isolation itself.

        `documents_answer` fails while the store is down, and `documents_canaries` while a canary is missing.
        """
        return (
            Check("documents_answer", "The document store answers this server.", tuple(self.answers)),
            Check("documents_filter", "The document store returns only what the filter allows.", tuple(self.filters)),
            Check(
                "documents_canaries", "The canary of every tier and tenant is seen by its own.", tuple(self.canaries)
            ),
        )


def document_checks(settings: Settings) -> tuple[Check, ...]:
    """Return the checks of the configured document store, none without one; blocks for seconds.

    Raises SettingsError when the settings are not sufficient for a store.
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
    """Search as every tier, as a made-up tier, and as tenants with a canary: all, or `tenants` chosen at random."""
    proof = DocumentProof()
    try:
        await _examine(store, isolate_by, tiers, proof, tenants)
    except ToolError as error:
        proof.failure = error
        remedy = "check the settings of [documents] and the rights of the server's role"
        # This is for the operator: the store's message may be shown, since it contains no caller's question.
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
    # The second search asks only for canaries: in the first one they may rank below other documents.
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
            proof.canaries.append(Offender(name, f"{who} does not see it", _WRITE))


def _contexts(tiers: Sequence[str], canaries: set[tuple[Any, Any]], tenants: int | None) -> Iterator[tuple[str, str]]:
    """Yield every tier and a made-up one with a made-up tenant, then the tenants with a canary, at most `tenants`."""
    stranger = f"nobody-{secrets.token_hex(8)}"
    yield from ((tier, stranger) for tier in (*tiers, stranger))
    own = {one for one in canaries if all(isinstance(label, str) for label in one) and one[1] != SHARED_TENANT}
    known = sorted((tier, tenant) for tier, tenant in own if tier in tiers)
    yield from known if tenants is None else random.sample(known, min(tenants, len(known)))


def _foreign(seen: list[Mapping[str, Any]], isolation: Isolation, who: str) -> Iterator[Offender]:
    """Yield one offender for each tier and tenant that the store returns although `isolation` does not admit it."""
    remedies: dict[str, str] = {}
    for labels in seen:
        if not isolation.admits(labels):
            filtered = all(condition.holds(labels) for condition in isolation.conditions)
            remedies[str(_owner(labels))] = _ANOTHER_TENANT if filtered else _NOT_FILTERED
    for owner, remedy in sorted(remedies.items()):
        yield Offender("the document store", f"a document labelled {owner} is returned for {who}", remedy)


def _owner(labels: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return the tier and the tenant in the labels, None for a missing one."""
    tier, tenant = labels.get("tier"), labels.get("tenant_id")
    return (tier if isinstance(tier, str) else None, tenant if isinstance(tenant, str) else None)


def _labels(owner: tuple[str | None, str | None]) -> dict[str, str]:
    return {key: value for key, value in zip(("tier", "tenant_id"), owner, strict=True) if value is not None}
