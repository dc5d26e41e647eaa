"""Searches of one caller in a scripted knowledge base, through the genuine boto3 client."""

import asyncio
import contextlib
from typing import Any

import pytest
from botocore.session import get_session

from server.documents.bedrock.client import KnowledgeBase
from server.documents.tenant_documents import Passage, TenantDocuments
from server.errors import ToolError
from server.settings import DocumentsSettings
from server.tenancy.context import TenantContext
from support.scripted_store import always, answer, scripted_store

QUESTION = "What is the deductible of Zoë Müller for auto insurance?"
REGULAR = {"tier": "regular", "tenant_id": "broker-a"}
OWN = {
    "content": {"text": "own", "type": "TEXT"},
    "location": {"type": "S3", "s3Location": {"uri": "s3://bucket/a.md"}},
    "metadata": REGULAR,
    "score": 0.5,
}
_PATIENT: dict[str, Any] = {"max_attempts": 1, "timeout_ms": 10_000}
OWN_PASSAGE = Passage("own", "a.md", 0.5, REGULAR)


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "worthless")


@contextlib.contextmanager
def documents(monkeypatch, url, tier: str | None = "regular", **settings):
    """Yield the documents of a knowledge base at `url` as one caller sees them, and the knowledge base itself."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_AGENT_RUNTIME", url)
    given = {"knowledge_base_id": "ABCDEFGHIJ", "region": "eu-west-1", "timeout_ms": 2_000} | settings
    known = DocumentsSettings.model_validate(given)
    context = TenantContext("broker-a", tier, None)  # pyright: ignore[reportArgumentType]
    with contextlib.closing(KnowledgeBase(known)) as opened:
        yield TenantDocuments(opened, known.isolate_by, context), opened


def search(monkeypatch, handler, limit=5, **settings):
    """Return what one search answers, and what the store was asked."""
    with scripted_store(handler) as store, documents(monkeypatch, store.url, **settings) as (own, _):
        return asyncio.run(own.search("deductible", limit)), store.requests


def outcomes(monkeypatch, *answers: bytes, question=QUESTION, labels=None, **settings) -> tuple[list[Any], list[Any]]:
    """Return what one search after the other came to, passages or the error, and what the store was asked."""

    async def ask(own):
        for _ in answers:
            try:
                yield await own.search(question, 5, labels or {})
            except ToolError as error:
                yield error

    async def collected(own):
        return [one async for one in ask(own)]

    with (
        scripted_store(always(*answers)) as store,
        documents(monkeypatch, store.url, **_PATIENT | settings) as (own, _),
    ):
        return asyncio.run(collected(own)), store.requests


def page(*results, **members):
    return answer({"retrievalResults": list(results), **members})


def labelled(**metadata):
    return {**OWN, "metadata": metadata}


def at(**location):
    return {**OWN, "location": location}


def in_s3(uri):
    return at(type="S3", s3Location={"uri": uri})


def refusal(message, status=400, code="ValidationException", **members):
    return answer({"message": message, **members}, status, code)


def service_enum(shape):
    """Return the values that the service's model, as botocore has it, knows for one of its enumerations."""
    model: Any = get_session().get_service_model("bedrock-agent-runtime")
    return set(model.shape_for(shape).metadata["enum"])
