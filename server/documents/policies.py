"""The policy documents: a filter from the verified token, one search, and a second look at what came back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, cast
from urllib.parse import unquote, urlsplit

import structlog

from server.documents.bedrock.client import KnowledgeBase
from server.documents.isolation import Condition, all_of, isolating_conditions
from server.errors import WithheldError
from server.settings import DocumentsSettings
from server.tenancy.context import TenantContext

Label: TypeAlias = str | int | float | bool | list[str]

# The type of the documents by which `doctor` proves the isolation; nobody asks for them.
CANARY_TYPE: Final = "tenantgate-canary"
_RESERVED_PREFIXES: Final = ("x-amz-bedrock", "_")
_WITHHELD: Final = (
    "The document store returned a passage outside what you may see, so the whole answer was withheld. "
    "A retry does not help; report this to your administrator."
)
_log: Final = structlog.get_logger("policies")


@dataclass(frozen=True, slots=True)
class Passage:
    """One returned passage; `score` is the store's relevance, higher is better, comparable within one answer."""

    text: str
    document: str
    score: float | None
    metadata: Mapping[str, Label]


class PolicyDocuments:
    """The knowledge base and what keeps its documents apart."""

    def __init__(self, settings: DocumentsSettings) -> None:
        """Create the client; raise SettingsError when the settings and AWS's variables do not suffice."""
        self.knowledge_base: Final = KnowledgeBase(settings)
        self.isolate_by: Final = settings.isolate_by

    def for_tenant(self, context: TenantContext) -> "TenantPolicies":
        """Return the handle that sees what `context` may see, and nothing else."""
        return TenantPolicies(self, context)

    def close(self) -> None:
        """Release the client."""
        self.knowledge_base.close()


@dataclass(frozen=True, slots=True)
class TenantPolicies:
    """The policy documents as one verified context sees them; the only handle that a tool is given."""

    _documents: PolicyDocuments
    _context: TenantContext

    async def search(self, query: str, limit: int, document_type: str | None = None) -> list[Passage]:
        """Return at most `limit` passages, best first; `document_type` can only narrow.

        Raises RefusedError without a tier, WithheldError when the store returns anything that the isolating conditions
        exclude, and UnavailableError or MisconfiguredError when it fails.
        """
        isolating = isolating_conditions(self._context, self._documents.isolate_by)
        narrowing = (Condition("document_type", (document_type,)),) if document_type else ()
        asked = all_of((*isolating, *narrowing))
        # One more for each canary that may be among them, so that these do not crowd out an answer.
        results = await self._documents.knowledge_base.retrieve(query, asked, limit + len(isolating))
        for result in results:
            if not all(condition.holds(result.get("metadata")) for condition in isolating):
                _log.critical(
                    "security: the document store returned a passage outside the caller's isolation",
                    tenant=self._context.tenant,
                    tier=self._context.tier,
                )
                raise WithheldError(_WITHHELD)
        return [passage for result in results if (passage := _passage(result))][:limit]


def _passage(result: Mapping[str, Any]) -> Passage | None:
    """Return the passage, or None for one that holds no text, such as an image, and for a canary."""
    content: Any = result.get("content")
    text = cast("dict[str, Any]", content).get("text") if isinstance(content, dict) else None
    labels = {key: value for key, value in result["metadata"].items() if _is_label(key, value)}
    if not isinstance(text, str) or not text or labels.get("document_type") == CANARY_TYPE:
        return None
    return Passage(text, _document(result), _score(result.get("score")), labels)


def _document(result: Mapping[str, Any]) -> str:
    """Return the document's name: the last part of its address, whichever kind of source it came from."""
    location: Any = result.get("location")
    places: list[Any] = list(cast("dict[str, Any]", location).values()) if isinstance(location, dict) else []
    places.append({"id": result.get("documentId")})
    addresses = [address for place in places for address in _values(place) if isinstance(address, str)]
    return next((name for address in addresses if (name := _last_part(address))), "unnamed document")


def _last_part(address: str) -> str:
    try:
        return unquote(urlsplit(address).path.rstrip("/").rpartition("/")[2])
    except ValueError:  # such as a bracket where a host should be
        return ""


def _score(value: Any) -> float | None:
    return float(value) if _is_number(value) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_label(key: Any, value: Any) -> bool:
    """Whether this is a label that somebody gave the document, of one of the four types that Bedrock knows."""
    if not isinstance(key, str) or key.startswith(_RESERVED_PREFIXES):
        return False
    if isinstance(value, list):
        return all(isinstance(one, str) for one in cast("list[Any]", value))
    return isinstance(value, str | bool) or _is_number(value)


def _values(node: Any) -> list[Any]:
    return list(cast("dict[str, Any]", node).values()) if isinstance(node, dict) else []
