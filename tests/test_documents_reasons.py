"""Why a knowledge base refused is in the log, without the question; the caller reads whether a retry helps.

The numbers of cases are those of public reports about other servers in front of Bedrock's Retrieve.
"""

import asyncio
import json
from typing import Any

import pytest
from botocore.session import get_session
from support.scripted_store import always, scripted_store
from support.searching import OWN, QUESTION, REGULAR, documents, labelled, outcomes, page, refusal
from support.searching import credentials as credentials  # noqa: PLC0414  # a fixture
from test_documents_proofs import checked

from server.documents.bedrock.service_message import CUT, without
from server.documents.tenant_documents import Passages
from server.errors import MisconfiguredError, UnavailableError

# --- Case 12: the knowledge base's reason is lost --------------------------------------------------------------------

HYBRID = "HYBRID search type is not supported for search operation on index ABC."
DENIED = (
    "User: arn:aws:sts::111122223333:assumed-role/server/x is not authorized to perform: bedrock:Retrieve on "
    "resource: arn:aws:bedrock:eu-west-1:111122223333:knowledge-base/ABCDEFGHIJ"
)
# (status, code, message, further members, what the log names, what the caller reads)
REASONS = [
    (400, "ValidationException", HYBRID, {}, "HYBRID", MisconfiguredError),
    (403, "AccessDeniedException", DENIED, {}, "bedrock:Retrieve", MisconfiguredError),
    (404, "ResourceNotFoundException", "Knowledge Base ABCDEFGHIJ is not there", {}, "ABCDEFGHIJ", MisconfiguredError),
    (403, "ExpiredTokenException", "The security token is expired", {}, "expired", MisconfiguredError),
    (424, "DependencyFailedException", "It failed", {"resourceName": "index/abc"}, "index/abc", UnavailableError),
    (502, "BadGatewayException", "No answer", {"resourceName": "reranker"}, "reranker", UnavailableError),
    (500, "InternalServerException", "It broke", {"reason": "index corrupt"}, "index corrupt", UnavailableError),
    (429, "ThrottlingException", "Your request rate is too high", {}, "too high", UnavailableError),
    (400, "ServiceQuotaExceededException", "Quota of 20 reached", {}, "Quota of 20", UnavailableError),
    (409, "ConflictException", "The knowledge base is updated", {}, "updated", UnavailableError),
]


def test_the_services_own_words_are_in_the_log_and_not_in_the_answer(monkeypatch, capsys):
    """Case 12, for every error of the service's model."""
    model = get_session().get_service_model("bedrock-agent-runtime").operation_model("Retrieve")
    shapes: Any = model.error_shapes
    assert {shape.name for shape in shapes} <= {code for _, code, *_ in REASONS}
    answers = [refusal(message, status, code, **members) for status, code, message, members, *_ in REASONS]
    found, _ = outcomes(monkeypatch, *answers)
    logged = capsys.readouterr().out
    for error, (_, code, _, _, named, kind) in zip(found, REASONS, strict=True):
        assert type(error) is kind, code
        assert named in str(error.__cause__)
        assert (named in logged) == (kind is MisconfiguredError)
        assert named not in str(error)


ECHOES = {
    "whole": f"Value '{QUESTION}' at 'retrievalQuery.text' failed to satisfy constraint",
    "in other letters": f"Value {QUESTION.upper()} is not valid",
    "cut off": f"Value '{QUESTION[:27]}…' at 'retrievalQuery.text'",
    "cut off in a word": "Query string is too long: What is the deduct",
    "one word of it": "No embedding for 'Müller'",
    "as JSON": f"Malformed: {json.dumps({'text': QUESTION})}",
    "as HTML": "Bad: What is the deductible of Zo&#235; M&uuml;ller",
    "as an address": "Bad: q=deductible+of+Zo%C3%AB+M%C3%BCller",
    "in several lines": f"Bad:\n{QUESTION}\r\n\x1b[31mred".replace(" ", "\n"),
    "the label that it was narrowed by": "Filter value 'ferry guide' is not known to this index",
}
WORDS = ("deduct", "zo", "müller", "muller", "u00eb", "ferry", "insurance", "\x1b", "\n")


def test_no_word_of_the_question_reaches_the_log_with_the_services_words(monkeypatch, capsys):
    """R122, case 12, the other side: a message may repeat the question in any form."""
    found, _ = outcomes(monkeypatch, *map(refusal, ECHOES.values()), labels={"document_type": "ferry guide"})
    assert capsys.readouterr().out.count("ValidationException") == len(ECHOES)
    for error in found:
        said = str(error.__cause__).casefold()
        assert CUT in said
        assert not [word for word in WORDS if word in said], said


def test_words_that_are_not_in_the_question_stay():
    assert without(HYBRID, [QUESTION]) == HYBRID
    assert without(DENIED, [QUESTION]) == DENIED
    assert (
        without("用語「保険の免責金額は」見つかりません", ["自動車保険の免責金額はいくらですか"])
        == f"用語「{CUT}」見つかりません"
    )
    assert without("Claim 4711 is not valid, code 42", ["claim 4711"]) == f"{CUT} is not valid, code 42"
    assert without("is it on or off", ["Is it on?", " ", ""]) == "is it on or off"
    assert len(without("x" * 100_000, [QUESTION])) == 1_000


def test_doctor_says_the_services_own_words(monkeypatch):
    """Case 12: not "see the server's log" alone."""
    found = checked(monkeypatch, always(refusal(HYBRID)))
    assert "HYBRID search type is not supported" in found["documents_answer"][0]


# --- Case 13: an Aurora store that is resuming -----------------------------------------------------------------------

STORE = "The vector database encountered an error while processing the request: "
RESUMING = f"{STORE}The Aurora DB instance is resuming after being auto-paused. Please wait a few seconds and try again"
STARTING = "The document store is not ready yet; nothing was read. Retry in a few seconds."
BUSY = "The document store is busy; nothing was read. Retry in a few seconds."
PASSING = {
    RESUMING: STARTING,
    RESUMING.replace("instance is", "instance db-ABC is") + " (Service: RdsData, Status Code: 400)": STARTING,
    f"{STORE}Communications link failure": STARTING,
    f"{STORE}Client execution did not complete before the specified timeout configuration: 28000 millis": STARTING,
    f"{STORE}The cluster is being resumed": STARTING,
    f"{STORE}DB cluster is paused": STARTING,
    f"{STORE}Request timed out": STARTING,
    "Knowledge base is being updated. Wait and try again.": STARTING,
    f"{STORE}The service is temporarily unavailable": STARTING,
    f"{STORE}Too many requests, please slow down": BUSY,
    "The embedding model was throttled": BUSY,
}
LASTING = (
    HYBRID,
    "Invalid input or configuration provided. Check the Knowledge Base configuration and try your request again.",
    f"{STORE}Cannot find DBInstance in DBCluster",
    f"{STORE}Wrong API key",
    f"{STORE}relation bedrock_kb does not exist",
    "The filter is not valid; correct it and retry your request.",
    "",
)


def test_a_store_that_wakes_up_or_is_busy_is_worth_a_retry(monkeypatch):
    """Case 13."""
    found, _ = outcomes(monkeypatch, *map(refusal, PASSING))
    assert [(type(one), str(one)) for one in found] == [(UnavailableError, text) for text in PASSING.values()]


def test_a_refusal_that_a_retry_does_not_change_stays_one(monkeypatch):
    """Beyond case 13: "try again" alone says nothing; nor does a question with such words that the message repeats."""
    question = "Is the ferry timeout resuming, please wait?"
    echo = f"Value '{question}' at 'retrievalQuery.text' is not valid"
    found, _ = outcomes(monkeypatch, *map(refusal, (*LASTING, echo)), question=question)
    assert {type(one) for one in found} == {MisconfiguredError}


# --- Case 12, second part: managed knowledge bases -------------------------------------------------------------------

MANAGED = (
    "Incompatible configuration: vectorSearchConfiguration is not supported for managed knowledge bases. "
    "Use managedSearchConfiguration instead."
)


def configurations(requests):
    return [next(iter(request["retrievalConfiguration"].items())) for request in requests]


def managed(message=MANAGED):
    """Return a handler of a knowledge base that takes managedSearchConfiguration alone."""

    def handle(connection, body):
        asked = "managedSearchConfiguration" in body["retrievalConfiguration"]
        connection.sendall(page(labelled(tier="regular", _source_uri="s3://b/a.md")) if asked else refusal(message))

    return handle


@pytest.mark.parametrize("message", [MANAGED, "vectorSearchConfiguration is not supported for managed knowledge bases"])
def test_a_managed_knowledge_base_is_asked_as_it_wants_with_the_same_filter(monkeypatch, capsys, message):
    """Case 12: it says so once, and is never asked the other way again."""
    arn = "arn:aws:bedrock:eu-west-1::foundation-model/cohere.rerank-v3-5:0"
    settings: dict[str, Any] = {
        "search_type": "HYBRID",
        "reranking_model_arn": arn,
        "isolate_by": ["tier", "tenant_id"],
    }

    async def twice(own):
        return [await own.search(QUESTION, 5) for _ in range(2)]

    def handle(connection, body):
        own = {**OWN, "metadata": {**REGULAR, "_source_uri": "s3://b/a.md"}}
        asked = "managedSearchConfiguration" in body["retrievalConfiguration"]
        connection.sendall(page(own) if asked else refusal(message))

    with scripted_store(handle) as store, documents(monkeypatch, store.url, **settings) as (own, _):
        found = asyncio.run(twice(own))
    assert [[one.labels for one in passages] for passages in found] == [[REGULAR]] * 2
    (first, refused), (second, asked), (third, again) = configurations(store.requests)
    assert (first, second, third) == ("vectorSearchConfiguration", *["managedSearchConfiguration"] * 2)
    assert asked == again == {key: value for key, value in refused.items() if key != "overrideSearchType"}
    assert asked["filter"]["andAll"][0] == {"equals": {"key": "tier", "value": "regular"}}
    assert "documents.search_type has no effect" in capsys.readouterr().out


def test_a_message_that_a_caller_brought_about_changes_nothing_for_the_next_one(monkeypatch):
    """Beyond case 12: a question that is repeated, and a store that refuses both ways."""
    question = "Use managedSearchConfiguration for managed knowledge bases"
    found, requests = outcomes(monkeypatch, refusal(f"Bad query: {question}"), page(OWN), question=question)
    assert [type(one) for one in found] == [MisconfiguredError, Passages]
    assert {name for name, _ in configurations(requests)} == {"vectorSearchConfiguration"}
    found, requests = outcomes(monkeypatch, refusal(MANAGED), refusal(HYBRID), page(OWN), page(OWN))
    assert isinstance(found[0], MisconfiguredError)
    names = [name for name, _ in configurations(requests)]
    assert names[:3] == ["vectorSearchConfiguration", "managedSearchConfiguration", "vectorSearchConfiguration"]


def test_the_proofs_hold_on_a_managed_knowledge_base(monkeypatch):
    found = checked(monkeypatch, managed(), isolate_by=("tier",))
    assert found["documents_answer"] == []
