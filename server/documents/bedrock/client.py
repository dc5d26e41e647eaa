"""Bedrock's Retrieve as a document store: through boto3, off the event loop, within a deadline, with named errors.

Source: the Retrieve operation of the Agents for Amazon Bedrock Runtime API, limits and errors included.
"""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, cast

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from server.documents.bedrock.bounded_exchange import BoundedCall, bound
from server.documents.bedrock.errors import ServiceError, guarded, reported
from server.documents.bedrock.result import found_in
from server.documents.bedrock.retrieval_filter import retrieval_filter
from server.documents.isolation import ISOLATING_KEYS
from server.documents.store import SEARCHES_AT_ONCE, Condition, FoundPassage
from server.errors import ArgumentsError, SettingsError, ToolError
from server.settings import DocumentsSettings

MAXIMUM_TEXT_CHARACTERS: Final = 20_000
MAXIMUM_RESULTS: Final = 100
MAXIMUM_ANSWER_BYTES: Final = 4 * 1024 * 1024
# A reranker chooses among more passages than it returns.
_RERANKED_FROM: Final = 4
_CONNECT_S: Final = 2
# More than searches: a thread whose search was cancelled while it connected ends a little later.
_THREADS: Final = 2 * SEARCHES_AT_ONCE
_PAGES: Final = 10
_log: Final = structlog.get_logger("knowledge_base")


class KnowledgeBase:
    """One knowledge base as a document store."""

    def __init__(self, settings: DocumentsSettings) -> None:
        """Create the client; region, credentials and endpoint come from the settings and AWS's standard variables.

        Raises SettingsError when they are incomplete.
        """
        self._settings: Final = settings
        self._threads: Final = ThreadPoolExecutor(_THREADS, thread_name_prefix="retrieve")
        try:
            client = cast("Any", boto3.Session()).client(
                "bedrock-agent-runtime",
                region_name=settings.region,
                config=Config(
                    connect_timeout=_CONNECT_S,
                    read_timeout=settings.timeout_ms / 1000,
                    retries={"mode": settings.retry_mode, "total_max_attempts": settings.max_attempts},
                    max_pool_connections=_THREADS,
                ),
            )
        except BotoCoreError as error:
            raise SettingsError(f"documents: {error} Set documents.region, or AWS's own variables.") from error
        bound(client, "Retrieve", MAXIMUM_ANSWER_BYTES)
        self._client: Final[Any] = client
        # A managed knowledge base needs another search configuration; its first refusal shows which kind this is.
        self._managed = False

    def close(self) -> None:
        """Close idle connections and accept no more calls; running calls end by their own deadlines."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    async def search(self, query: str, conditions: Sequence[Condition], limit: int) -> list[FoundPassage]:
        """Return at least `limit` passages that meet every condition, best first, or all when there are fewer.

        Raises ArgumentsError for what the service would refuse, RefusedError when a guardrail intervened,
        UnavailableError when a retry may help, and MisconfiguredError when it does not. The exchange is cancelled with
        the caller.
        """
        request = self.request(query, conditions, limit)
        # The log must not hold the question, nor the values of the labels that the caller chose.
        asked = [query, *(text for one in conditions if one.key not in ISOLATING_KEYS for text in one.allowed)]
        return [found_in(result) for result in await self._retrieve(request, limit, asked)]

    async def _retrieve(self, request: dict[str, Any], limit: int, asked: Sequence[str]) -> list[dict[str, Any]]:
        """Return the raw results of all pages, fetched by a worker thread within the deadline."""
        seconds = self._settings.timeout_ms / 1000
        call = BoundedCall(seconds)
        work = partial(call.run, partial(self._pages, request, limit, asked))
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except ToolError:
            raise
        except Exception as error:  # noqa: BLE001  # botocore's parser raises anything for an invalid answer
            answer, cause = reported(error)
            raise answer from cause
        finally:
            call.break_off()

    def request(self, query: str, conditions: Sequence[Condition], limit: int) -> dict[str, Any]:
        """Return the parameters of Retrieve; raise ArgumentsError beyond its limits, which botocore does not check."""
        if not 1 <= len(query) <= MAXIMUM_TEXT_CHARACTERS:
            raise ArgumentsError(f"The query must have 1 to {MAXIMUM_TEXT_CHARACTERS:,} characters; nothing was read.")
        if not 1 <= limit <= MAXIMUM_RESULTS:
            raise ArgumentsError(f"The limit must be from 1 to {MAXIMUM_RESULTS}; nothing was read.")
        search: dict[str, Any] = {"numberOfResults": limit, "filter": retrieval_filter(conditions)}
        if self._settings.search_type:
            search["overrideSearchType"] = self._settings.search_type
        if self._settings.reranking_model_arn:
            search["numberOfResults"] = min(limit * _RERANKED_FROM, MAXIMUM_RESULTS)
            search["rerankingConfiguration"] = {
                "type": "BEDROCK_RERANKING_MODEL",
                "bedrockRerankingConfiguration": {
                    "modelConfiguration": {"modelArn": self._settings.reranking_model_arn},
                    "numberOfRerankedResults": limit,
                },
            }
        return {
            "knowledgeBaseId": self._settings.knowledge_base_id,
            "retrievalQuery": {"text": query},
            "retrievalConfiguration": {"vectorSearchConfiguration": search},
        }

    def _pages(self, request: dict[str, Any], limit: int, asked: Sequence[str]) -> list[dict[str, Any]]:
        """Read page after page until there are enough results; a page may be short although more results follow."""
        results: list[dict[str, Any]] = []
        token: dict[str, str] = {}
        for _ in range(_PAGES):
            answer = self._page({**request, **token}, asked)
            if answer.get("guardrailAction") == "INTERVENED":
                refusal, cause = guarded()
                raise refusal from cause
            results += _results(answer)
            if len(results) >= limit or not answer.get("nextToken"):
                return results
            token = {"nextToken": answer["nextToken"]}
        if not results:
            raise ValueError("pages without results and without end")
        return results

    def _page(self, request: dict[str, Any], asked: Sequence[str]) -> dict[str, Any]:
        """Ask in the form for this kind of knowledge base; when a refusal names the other kind, ask once more."""
        if self._managed:
            return self._ask(_for_managed(request), asked)
        try:
            return self._ask(request, asked)
        except ServiceError as error:
            if not error.wants_managed_search:
                raise
        answer = self._ask(_for_managed(request), asked)
        # Set only after the second form worked: the words of a refusal alone must not affect other callers.
        self._managed = True
        if self._settings.search_type:
            _log.warning("a managed knowledge base chooses its own search; documents.search_type has no effect")
        return answer

    def _ask(self, request: dict[str, Any], asked: Sequence[str]) -> dict[str, Any]:
        try:
            return self._client.retrieve(**request)
        except ClientError as error:
            raise ServiceError(error, asked) from None


def _for_managed(request: dict[str, Any]) -> dict[str, Any]:
    """Return the same request for a managed knowledge base: the same filter, without a search type."""
    search = dict(request["retrievalConfiguration"]["vectorSearchConfiguration"])
    search.pop("overrideSearchType", None)
    return {**request, "retrievalConfiguration": {"managedSearchConfiguration": search}}


def _results(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the results; raise ValueError when they do not match the service's model."""
    results: Any = answer.get("retrievalResults")
    if not isinstance(results, list) or not all(isinstance(one, dict) for one in results):  # pyright: ignore[reportUnknownVariableType]
        raise ValueError("retrievalResults is not a list of objects")
    return results  # pyright: ignore[reportUnknownVariableType]
