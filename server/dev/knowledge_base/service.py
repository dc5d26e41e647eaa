"""A knowledge base on this machine that speaks the wire protocol of Bedrock's Retrieve.

The real boto3 client works with it through `endpoint_url`, so that development and production run the same code.
Requests are not authenticated, so bind it to the loopback interface. It answers only to loopback host names, so that
no web page can read documents through a host name that points to this machine (DNS rebinding).
"""

import re
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import anyio
from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.dev.issuer.loopback import LoopbackHost
from server.dev.knowledge_base.corpus import Corpus, FoundChunk
from server.dev.knowledge_base.faults import Faults
from server.dev.knowledge_base.page_token import PageTokens
from server.dev.knowledge_base.retrieval_filter import everything
from server.dev.knowledge_base.retrieve_answer import EXCEPTION_HANDLERS, RetrieveError, answer_json
from server.dev.knowledge_base.retrieve_request import RetrieveRequest, parse_retrieve
from server.errors import StartupError

KNOWLEDGE_BASE_ID: Final = "TENANTGATE"
# 20,000 characters of text, each escaped as a surrogate pair of 12 bytes, and a filter twice as long.
MAXIMUM_BODY_BYTES: Final = 1024 * 1024

_IDENTIFIER: Final = re.compile(r"[0-9a-zA-Z]{10}")
_ARN: Final = re.compile(r"arn:aws(?:-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:knowledge-base/([0-9a-zA-Z]{10})")


@dataclass(frozen=True, slots=True)
class DevelopmentKnowledgeBase:
    """One knowledge base over one corpus."""

    corpus: Corpus
    identifier: str
    faults: Faults
    tokens: PageTokens = field(default_factory=PageTokens)
    # One embedding keeps a core busy; a second one at the same time would make both slower.
    searches: CapacityLimiter = field(default_factory=partial(CapacityLimiter, 1))

    async def retrieve(self, request: Request) -> Response:
        """Answer POST /knowledgebases/{id}/retrieve; raises RetrieveError."""
        await self._misbehave()
        body = await _body(request)
        self._check_identifier(request.path_params["knowledge_base_id"])
        asked = parse_retrieve(body)
        offset = self._offset(asked)
        matches = everything if self.faults.take("ignore_filter") else asked.matches
        # One more result than requested shows whether there is a next page.
        search = partial(self.corpus.search, asked.text, matches, limit=asked.limit + 1, offset=offset)
        found = await to_thread.run_sync(search, limiter=self.searches)
        answer: dict[str, Any] = {"retrievalResults": [_result(passage) for passage in found[: asked.limit]]}
        if len(found) > asked.limit:
            answer["nextToken"] = self.tokens.issue(asked.question, offset + asked.limit)
        return answer_json(answer)

    async def _misbehave(self) -> None:
        if self.faults.take("delay"):
            await anyio.sleep(self.faults.delay_seconds)
        if self.faults.take("throttle"):
            raise RetrieveError("ThrottlingException", "Your request rate is too high. Reduce it and retry.", 429)
        if self.faults.take("fail"):
            raise RetrieveError(
                "InternalServerException", "An internal server error occurred. Retry your request.", 500
            )

    def _check_identifier(self, identifier: str) -> None:
        arn = _ARN.fullmatch(identifier)
        plain = arn[1] if arn else identifier
        if not _IDENTIFIER.fullmatch(plain):
            raise RetrieveError(
                "ValidationException",
                "1 validation error detected: Value at 'knowledgeBaseId' failed to satisfy constraint: "
                "Member must be 10 letters or digits, or the ARN of a knowledge base",
            )
        if plain != self.identifier:
            raise RetrieveError("ResourceNotFoundException", f"Knowledge Base with id {plain} does not exist.", 404)

    def _offset(self, asked: RetrieveRequest) -> int:
        if asked.next_token is None:
            return 0
        try:
            return self.tokens.read(asked.question, asked.next_token)
        except ValueError as error:
            message = "The nextToken is not valid for this query and filter; send the request without it."
            raise RetrieveError("ValidationException", message) from error


def create_knowledge_base(
    corpus: Corpus, knowledge_base_id: str = KNOWLEDGE_BASE_ID, *, faults: Faults | None = None
) -> Starlette:
    """Return the ASGI application that serves `corpus` under `knowledge_base_id`, ten letters or digits."""
    if not _IDENTIFIER.fullmatch(knowledge_base_id):
        raise StartupError(f"The knowledge base id {knowledge_base_id!r} must be exactly 10 letters or digits.")
    knowledge_base = DevelopmentKnowledgeBase(corpus, knowledge_base_id, faults or Faults())
    # An ARN holds a slash, and the path arrives decoded.
    route = Route("/knowledgebases/{knowledge_base_id:path}/retrieve", knowledge_base.retrieve, methods=["POST"])
    application = Starlette(
        routes=[route], exception_handlers=EXCEPTION_HANDLERS, middleware=[Middleware(LoopbackHost)]
    )
    application.router.redirect_slashes = False
    return application


async def _body(request: Request) -> bytes:
    """Read the body up to the limit, ignoring its declared length."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAXIMUM_BODY_BYTES:
            raise RetrieveError("RequestEntityTooLargeException", "The request body is larger than 1 MiB.", 413)
    return bytes(body)


def _result(passage: FoundChunk) -> dict[str, Any]:
    return {
        "content": {"text": passage.text, "type": "TEXT"},
        "documentId": passage.uri,
        "location": {"type": "S3", "s3Location": {"uri": passage.uri}},
        "metadata": dict(passage.metadata),
        "score": passage.score,
    }
