"""The document store that the settings name; only this module knows which kinds of store there are."""

from collections.abc import Sequence

from server.documents.bedrock.labels import MAXIMUM_CONDITIONS, label_problem
from server.documents.isolation import ISOLATING_KEYS, isolating_among
from server.documents.store import DocumentStore
from server.settings import DocumentsSettings


def document_store(settings: DocumentsSettings) -> DocumentStore:
    """Return the configured store, not connected yet; raise SettingsError when the settings are incomplete."""
    # boto3 is loaded only where there are documents.
    from server.documents.bedrock.client import KnowledgeBase

    return KnowledgeBase(settings)


def store_name(settings: DocumentsSettings) -> str:
    """Return the id of the configured store, as traces show it."""
    return settings.knowledge_base_id


def check_labels(names: Sequence[str]) -> str | None:
    """Return what is wrong with the labels that a search tool offers its callers; None when nothing is."""
    if (isolating := isolating_among(names)) is not None:
        return f"the label {isolating!r} decides what a caller may see, so no caller may choose it; remove it"
    if len(set(names)) < len(names):
        return "a label is named twice; name each label once"
    if len(names) > (most := MAXIMUM_CONDITIONS - len(ISOLATING_KEYS)):
        return f"there are {len(names)} labels, and a search takes at most {most}; remove some"
    return next((problem for name in names if (problem := label_problem(name))), None)
