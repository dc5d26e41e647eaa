"""The policy documents: a filter from the verified token, one Retrieve call, and a second look at what came back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import anyio
import boto3
import structlog
from anyio import CapacityLimiter, to_thread
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from server.errors import RefusedError, UnavailableError, WithheldError
from server.settings import DocumentsSettings
from server.tenancy import TenantContext

# Documents for every tenant of a tier carry this in place of a tenant; no tenant id can be spelled so.
SHARED_TENANT: Final = "*"
_THREADS: Final = 16
_RESERVED_PREFIX: Final = "x-amz-bedrock"
_DOWN: Final = "The document search is not available; nothing was read. Retry in a few seconds."
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
    metadata: Mapping[str, Any]


class PolicyDocuments:
    """The knowledge base, through boto3's own `bedrock-agent-runtime` client."""

    def __init__(self, settings: DocumentsSettings) -> None:
        """Create the client; region, credentials and endpoint come from the settings and AWS's standard variables."""
        self._settings: Final = settings
        self._deadline_s: Final = settings.timeout_ms / 1000
        self._threads: Final = CapacityLimiter(_THREADS)
        self._client: Final[Any] = boto3.client(  # pyright: ignore[reportUnknownMemberType]
            "bedrock-agent-runtime",
            region_name=settings.region,
            config=Config(
                connect_timeout=2,
                read_timeout=self._deadline_s,
                retries={"mode": "standard", "total_max_attempts": 3},
                max_pool_connections=_THREADS,
            ),
        )

    def for_tenant(self, context: TenantContext) -> "TenantPolicies":
        """Return the handle that sees what `context` may see, and nothing else."""
        return TenantPolicies(self, context)

    def conditions(self, context: TenantContext) -> list[dict[str, Any]]:
        """Return the isolating conditions of one verified context; raise RefusedError when it has no tier."""
        if context.tier is None:
            raise RefusedError(
                "Refused: your account is in no tier that has policy documents. Claims are not affected; "
                "ask your administrator to add you to a tier. A retry does not help."
            )
        conditions: list[dict[str, Any]] = [{"equals": {"key": "tier", "value": context.tier}}]
        if "tenant_id" in self._settings.isolate_by:
            conditions.append({"in": {"key": "tenant_id", "value": [context.tenant, SHARED_TENANT]}})
        return conditions

    async def retrieve(self, query: str, conditions: Sequence[Mapping[str, Any]], limit: int) -> list[dict[str, Any]]:
        """Return the raw results that match every condition; raise UnavailableError when the store fails."""
        search = {"numberOfResults": limit, "filter": _all_of(conditions)}

        def call() -> list[dict[str, Any]]:
            answer = self._client.retrieve(
                knowledgeBaseId=self._settings.knowledge_base_id,
                retrievalQuery={"text": query},
                retrievalConfiguration={"vectorSearchConfiguration": search},
            )
            return answer["retrievalResults"]

        try:
            with anyio.fail_after(self._deadline_s):
                return await to_thread.run_sync(call, abandon_on_cancel=True, limiter=self._threads)
        except (ClientError, BotoCoreError, TimeoutError, KeyError) as error:
            raise UnavailableError(_DOWN) from error


@dataclass(frozen=True, slots=True)
class TenantPolicies:
    """The policy documents as one verified context sees them; the only handle that a tool is given."""

    _documents: PolicyDocuments
    _context: TenantContext

    async def search(self, query: str, limit: int, document_type: str | None = None) -> list[Passage]:
        """Return at most `limit` passages, best first; `document_type` can only narrow.

        Raises RefusedError without a tier, UnavailableError when the store fails, and WithheldError when it returns
        anything that the isolating conditions exclude.
        """
        isolating = self._documents.conditions(self._context)
        narrowing = [{"equals": {"key": "document_type", "value": document_type}}] if document_type else []
        results = await self._documents.retrieve(query, [*isolating, *narrowing], limit)
        for result in results:
            if not all(_satisfies(result.get("metadata"), condition) for condition in isolating):
                _log.critical("a passage outside the caller's isolation was returned", tenant=self._context.tenant)
                raise WithheldError(_WITHHELD)
        return [_passage(result) for result in results]


def _all_of(conditions: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """Return one filter; `andAll` takes at least two members, so a single condition stands alone."""
    return conditions[0] if len(conditions) == 1 else {"andAll": list(conditions)}


def _satisfies(metadata: Any, condition: Mapping[str, Any]) -> bool:
    """Whether a passage's own metadata meets an isolating condition, types included."""
    if not isinstance(metadata, Mapping):
        return False
    ((operator, operand),) = condition.items()
    value: Any = metadata.get(operand["key"])  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    allowed = operand["value"] if operator == "in" else [operand["value"]]
    return isinstance(value, str) and value in allowed


def _passage(result: Mapping[str, Any]) -> Passage:
    metadata = {key: value for key, value in result["metadata"].items() if not key.startswith(_RESERVED_PREFIX)}
    uri = str(result.get("location", {}).get("s3Location", {}).get("uri", ""))
    name = urlsplit(uri).path.rpartition("/")[2] or "unnamed document"
    return Passage(result["content"].get("text", ""), name, result.get("score"), metadata)
