"""The proof of isolation on the document store while serving; its failure stops only tools that read documents."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import anyio
import structlog

from server.chance import CHANCE
from server.doctor.document_proofs import DocumentProof, prove_documents
from server.documents.proved_store import ProvedStore, Verdict
from server.errors import UnavailableError
from server.settings import Settings

# The pauses while the store cannot be asked, while a tier leaks, and once isolation is proved.
_RETRY_S: Final = 2.0
_LEAKING_S: Final = 60.0
_REPEAT_S: Final = 300.0
# Each search of a knowledge base costs money; `tenantgate doctor` searches as every tenant that has a canary.
_TENANTS: Final = 4
_DEFECT: Final = "The isolation of the documents could not be proved; the error was logged. Retry in a few seconds."
_log: Final = structlog.get_logger("proof")


@asynccontextmanager
async def proving_documents(store: ProvedStore | None, settings: Settings) -> AsyncGenerator[None]:
    """Prove isolation on `store` at the start and repeatedly; searches wait for the first verdict."""
    if store is None or settings.documents is None:
        yield
        return
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_keep_proving, store, settings.documents.isolate_by, settings.tenancy.tiers)
        try:
            yield
        finally:
            tasks.cancel_scope.cancel()


async def _keep_proving(store: ProvedStore, isolate_by: tuple[str, ...], tiers: tuple[str, ...]) -> None:
    said: object = None
    while True:
        pause_s = _RETRY_S
        try:
            proof = await prove_documents(store.unproved, isolate_by, tiers, tenants=_TENANTS)
        except Exception:  # noqa: BLE001  # a defect of ours proves nothing, and must not end the loop
            _log.exception("the proof of isolation failed on the documents")
            store.judge(Verdict(UnavailableError(_DEFECT)))
        else:
            store.judge(Verdict(proof.failure, proof.leaking))
            if proof.failure is None:
                pause_s = _LEAKING_S if proof.leaking else _REPEAT_S
            # Do not compare the offenders: they name request ids and made-up tenants, which differ in each proof.
            held = [check.holds for check in proof.checks]
            if said != (said := (held, str(proof.failure), proof.leaking.intersection(tiers))):
                _report(proof)
        # Random, so that not all replicas ask at once when a store comes back.
        await anyio.sleep(pause_s * CHANCE.uniform(0.5, 1.0))


def _report(proof: DocumentProof) -> None:
    """Log the result of a proof: a leak as critical; a store that is down or a missing canary as a warning."""
    levels = {"documents_filter": _log.critical, "documents_answer": _log.warning, "documents_canaries": _log.warning}
    for check in proof.checks:
        if not check.holds:
            offenders = [f"{one.object}: {one.problem}; remedy: {one.remedy}" for one in check.offenders]
            levels[check.name]("isolation is not proved on the documents", check=check.name, offenders=offenders)
    if proof.failure is None and not proof.leaking:
        _log.info("isolation is proved on the documents", searches=proof.searches)
