"""The body of a Retrieve request, checked as Bedrock checks it.

Source: the Retrieve operation of the Agents for Amazon Bedrock Runtime API. What the stand-in cannot do (reranking,
guardrails, implicit filters, images) is refused: ignoring a member could return more passages.
"""

import hashlib
import json
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from server.dev.knowledge_base.retrieval_filter import Matches, RetrievalFilterError, everything, parse_filter
from server.dev.knowledge_base.retrieve_answer import RetrieveError

FILTER_PATH: Final = "retrievalConfiguration.vectorSearchConfiguration"


@dataclass(frozen=True, slots=True)
class RetrieveRequest:
    """A valid request; `question` is a digest of everything that a nextToken is bound to."""

    text: str
    matches: Matches
    limit: int
    next_token: str | None
    question: bytes


class _Member(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True)


class _Query(_Member):
    text: Annotated[str, Field(min_length=1, max_length=20_000)]
    type: Literal["TEXT"] = "TEXT"


class _VectorSearch(_Member):
    number_of_results: Annotated[int, Field(ge=1, le=100)] = 5
    override_search_type: Literal["HYBRID", "SEMANTIC"] | None = None
    filter: Any = None


class _Configuration(_Member):
    vector_search_configuration: _VectorSearch = _VectorSearch()


class _Body(_Member):
    retrieval_query: _Query
    retrieval_configuration: _Configuration = _Configuration()
    next_token: Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^\S*$")] | None = None


def parse_retrieve(body: bytes) -> RetrieveRequest:
    """Read the body; on a mistake raise ValidationException with the member and the rule, never the value."""
    try:
        read = _Body.model_validate_json(body, by_alias=True, by_name=False)
    except ValidationError as error:
        raise RetrieveError("ValidationException", _describe(error)) from error
    search = read.retrieval_configuration.vector_search_configuration
    try:
        # A filter that is null is malformed: it must not match every document.
        matches = parse_filter(search.filter) if "filter" in search.model_fields_set else everything
    except RetrievalFilterError as error:
        raise RetrieveError("ValidationException", f"1 validation error detected: {FILTER_PATH}.{error}") from error
    bound = json.dumps([read.retrieval_query.text, search.filter, search.override_search_type], sort_keys=True)
    question = hashlib.sha256(bound.encode()).digest()
    return RetrieveRequest(read.retrieval_query.text, matches, search.number_of_results, read.next_token, question)


def _describe(error: ValidationError) -> str:
    """Describe pydantic's findings in Bedrock's words."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        return "The request body is not valid JSON."
    listed = "; ".join(_finding(one["loc"], one["type"], one["msg"]) for one in found)
    return f"{len(found)} validation error{'s' * (len(found) > 1)} detected: {listed}"


def _finding(place: tuple[int | str, ...], kind: str, message: str) -> str:
    name = ".".join(map(str, place)) or "body"
    rule = "Member is not known here" if kind == "extra_forbidden" else message
    return f"Value at '{name}' failed to satisfy constraint: {rule}"
