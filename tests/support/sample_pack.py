"""What the sample pack offers, without a server."""

from server.catalog.loading import load_catalog
from server.catalog.offer import Offer, offered
from server.settings import Settings


def sample_offer(*, documents: bool = True) -> Offer:
    """Return the tools and prompts of the sample pack."""
    settings = {"documents": {"knowledge_base_id": "ABCDEFGHIJ"}} if documents else {}
    return offered(load_catalog(["sample"]), Settings.model_validate(settings))
