"""The own calls of the people of one development stack."""

from pathlib import Path

from server.audit.evidence import ArgumentDigests
from server.catalog.loading import Catalog
from server.catalog.offer import offered
from server.dev.calls.routes import OwnCalls
from server.doctor.examination import Report
from server.settings import Settings


def own_calls(settings: Settings, catalog: Catalog, proof: Report | None, trail: Path, documents: Path) -> OwnCalls:
    """Return the calls of the server with these settings; its tools are made anew, so that they share nothing."""
    offer = offered(catalog, settings)
    if proof is not None:
        offer.bind(proof.facts)
    return OwnCalls(
        trail,
        {tool.name: tool for tool in offer.tools},
        ArgumentDigests(settings.database.signing_keys()),
        documents if settings.documents else None,
        tuple(settings.documents.isolate_by) if settings.documents else (),
    )
