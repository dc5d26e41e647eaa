"""Live proofs of isolation on the knowledge base: each canary is seen by its own, and by nobody else."""

import asyncio
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

from server.doctor.examination import Check
from server.doctor.offender import Offender
from server.documents.bedrock.client import MAXIMUM_RESULTS
from server.documents.isolation import SHARED_TENANT, Condition, all_of
from server.documents.policies import CANARY_TYPE, PolicyDocuments
from server.errors import ToolError
from server.settings import Settings

_QUESTION: Final = "tenantgate canary"
_CANARIES: Final = Condition("document_type", (CANARY_TYPE,))
_WRITE: Final = "run `tenantgate documents canaries DIR`, then `tenantgate documents sync DIR`"


@dataclass(slots=True)
class _Found:
    """What offends, by question."""

    answers: list[Offender] = field(default_factory=list[Offender])
    filters: list[Offender] = field(default_factory=list[Offender])
    canaries: list[Offender] = field(default_factory=list[Offender])


def document_checks(settings: Settings) -> tuple[Check, ...]:
    """Return three checks of the configured knowledge base, none when there is no such setting; blocks for seconds.

    `documents_filter` alone is isolation itself; `documents_answer` offends while the store is down as well, and
    `documents_canaries` while a canary is missing. Raises SettingsError when the client cannot even be made.
    """
    if settings.documents is None:
        return ()
    with closing(PolicyDocuments(settings.documents)) as documents:
        found = asyncio.run(_examined(documents, settings.tenancy.tiers))
    return (
        Check("documents_answer", "The knowledge base answers this server.", tuple(found.answers)),
        Check("documents_filter", "The knowledge base returns what the filter asks for alone.", tuple(found.filters)),
        Check("documents_canaries", "The canary of every tier and tenant is seen by its own.", tuple(found.canaries)),
    )


async def _examined(documents: PolicyDocuments, tiers: Sequence[str]) -> _Found:
    found = _Found()
    try:
        await _examine(documents, tiers, found)
    except ToolError as error:
        remedy = "see the server's log, then compare the settings of [documents] and the rights of the server's role"
        found.answers.append(Offender("documents.knowledge_base_id", str(error), remedy))
    return found


async def _examine(documents: PolicyDocuments, tiers: Sequence[str], found: _Found) -> None:
    canaries = {_labels(one) for one in await _seen(documents, (_CANARIES,)) if _CANARIES.holds(one)}
    for tier in tiers:
        if not any(label == tier for label, _ in canaries):
            found.canaries.append(Offender(f"the canary of {tier}", "it is not in the knowledge base", _WRITE))
    for tier, tenant in _contexts(tiers, canaries):
        isolating = _conditions(documents.isolate_by, tier, tenant)
        # Once whatever there is, once the canaries, which may be too unlike the question to be among the first.
        seen = [*await _seen(documents, isolating), *await _seen(documents, (*isolating, _CANARIES))]
        found.filters.extend(_foreign(seen, isolating, f"{tier}, {tenant}"))
        labels = {_labels(one) for one in seen}
        for canary in sorted(canaries - labels, key=str):
            if all(condition.holds(dict(zip(("tier", "tenant_id"), canary, strict=True))) for condition in isolating):
                name = f"the canary of {canary[0]}, {canary[1]}"
                found.canaries.append(Offender(name, f"it is not seen by {tier}, {tenant}", _WRITE))


def _contexts(tiers: Sequence[str], canaries: set[tuple[Any, Any]]) -> Iterator[tuple[str, str]]:
    """Yield every tier with a made-up tenant, every tenant that has a canary, and a made-up tier."""
    stranger = f"nobody-{secrets.token_hex(8)}"
    yield from ((tier, stranger) for tier in (*tiers, stranger))
    own = {one for one in canaries if all(isinstance(label, str) for label in one) and one[1] != SHARED_TENANT}
    yield from sorted((tier, tenant) for tier, tenant in own if tier in tiers)


def _conditions(isolate_by: Sequence[str], tier: str, tenant: str) -> tuple[Condition, ...]:
    allowed = {"tier": (tier,), "tenant_id": (tenant, SHARED_TENANT)}
    return tuple(Condition(key, allowed[key]) for key in isolate_by)


async def _seen(documents: PolicyDocuments, conditions: Sequence[Condition]) -> list[Mapping[str, Any]]:
    results = await documents.knowledge_base.retrieve(_QUESTION, all_of(conditions), MAXIMUM_RESULTS)
    return [result.get("metadata") or {} for result in results]


def _foreign(seen: list[Mapping[str, Any]], isolating: Sequence[Condition], who: str) -> Iterator[Offender]:
    labels = {str(_labels(one)) for one in seen if not all(condition.holds(one) for condition in isolating)}
    for foreign in sorted(labels):
        problem = f"a document labelled {foreign} is returned for {who}"
        yield Offender("the knowledge base", problem, "use a vector store that filters by metadata, and ingest anew")


def _labels(metadata: Mapping[str, Any]) -> tuple[Any, Any]:
    tier, tenant = metadata.get("tier"), metadata.get("tenant_id")
    return (tier if isinstance(tier, str) else None, tenant if isinstance(tenant, str) else None)
