"""The development knowledge base, driven by the genuine boto3 client and by raw HTTP."""

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from support.listening import listening

from server.dev.knowledge_base.corpus import Corpus
from server.dev.knowledge_base.service import KNOWLEDGE_BASE_ID, Faults, create_knowledge_base
from server.dev.sample import SAMPLE_DOCUMENTS
from server.errors import StartupError

REGULAR = {"equals": {"key": "tier", "value": "regular"}}
PLATINUM = {"equals": {"key": "tier", "value": "platinum"}}
QUESTION = "What is the deductible for auto insurance?"
PATH = f"/knowledgebases/{KNOWLEDGE_BASE_ID}/retrieve"


@contextlib.contextmanager
def client_of(port, attempts=1):
    client: Any = boto3.client(
        "bedrock-agent-runtime",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="eu-west-1",
        aws_access_key_id="dummy",
        aws_secret_access_key="dummy",
        config=Config(retries={"mode": "standard", "total_max_attempts": attempts}, read_timeout=30),
    )
    with contextlib.closing(client):
        yield client


@pytest.fixture(scope="module")
def faults() -> Faults:
    return Faults()


@pytest.fixture(scope="module")
def port(faults: Faults, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    corpus = Corpus.load(SAMPLE_DOCUMENTS, tmp_path_factory.mktemp("embeddings"))
    with listening(create_knowledge_base(corpus, faults=faults)) as running:
        yield running.port


@pytest.fixture(scope="module")
def bedrock(port: int) -> Iterator[Any]:
    with client_of(port) as client:
        yield client


def retrieve(client, text=QUESTION, **search):
    configuration = {"retrievalConfiguration": {"vectorSearchConfiguration": search}} if search else {}
    return client.retrieve(knowledgeBaseId=KNOWLEDGE_BASE_ID, retrievalQuery={"text": text}, **configuration)


def send(port, body, path=PATH, method="POST"):
    """One raw request; returns status, headers and the JSON body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        connection.request(method, path, payload)
        response = connection.getresponse()
        content = response.read()
        return response.status, response.headers, json.loads(content)


def query(**search):
    body: dict[str, Any] = {"retrievalQuery": {"text": QUESTION}}
    if search:
        body["retrievalConfiguration"] = {"vectorSearchConfiguration": search}
    return body


@pytest.mark.parametrize(("tier", "own", "other"), [("regular", "$1,000", "$500"), ("platinum", "$500", "$1,000")])
def test_each_tier_reads_its_own_deductible_and_never_the_others(bedrock, tier, own, other):
    results = retrieve(bedrock, filter={"equals": {"key": "tier", "value": tier}}, numberOfResults=100)
    texts = [result["content"]["text"] for result in results["retrievalResults"]]
    assert own in texts[0]
    assert len(texts) > 25
    assert not [text for text in texts if other in text]
    assert {result["metadata"]["tier"] for result in results["retrievalResults"]} == {tier}


def test_a_result_has_bedrocks_shape(bedrock):
    (result,) = retrieve(bedrock, filter=REGULAR, numberOfResults=1)["retrievalResults"]
    uri = "s3://tenantgate-documents/auto-policy-regular.md"
    assert set(result) == {"content", "documentId", "location", "metadata", "score"}
    assert result["content"] == {"text": result["content"]["text"], "type": "TEXT"}
    assert result["location"] == {"type": "S3", "s3Location": {"uri": uri}}
    assert 0 < result["score"] < 1
    assert result["metadata"].pop("x-amz-bedrock-kb-chunk-id")
    assert result["metadata"].pop("x-amz-bedrock-kb-data-source-id")
    assert result["metadata"] == {
        "tier": "regular",
        "document_type": "policy",
        "line_of_business": "auto",
        "x-amz-bedrock-kb-source-uri": uri,
    }


def test_five_results_come_by_default_best_first(bedrock):
    scores = [result["score"] for result in retrieve(bedrock)["retrievalResults"]]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)


def test_nothing_found_is_an_empty_answer(bedrock):
    answer = retrieve(bedrock, filter={"equals": {"key": "tier", "value": "gold"}})
    assert answer["retrievalResults"] == []
    assert "nextToken" not in answer


@pytest.mark.parametrize("search_type", ["HYBRID", "SEMANTIC"])
def test_both_search_types_are_served(bedrock, search_type):
    results = retrieve(bedrock, overrideSearchType=search_type, filter=PLATINUM)["retrievalResults"]
    assert "$500" in results[0]["content"]["text"]


def test_an_arn_names_the_knowledge_base_too(bedrock):
    arn = f"arn:aws:bedrock:eu-west-1:123456789012:knowledge-base/{KNOWLEDGE_BASE_ID}"
    assert bedrock.retrieve(knowledgeBaseId=arn, retrievalQuery={"text": "x", "type": "TEXT"})["retrievalResults"]


def test_the_paginator_visits_every_match_once(bedrock):
    pages = list(
        bedrock.get_paginator("retrieve").paginate(
            knowledgeBaseId=KNOWLEDGE_BASE_ID,
            retrievalQuery={"text": QUESTION},
            retrievalConfiguration={"vectorSearchConfiguration": {"numberOfResults": 10, "filter": REGULAR}},
        )
    )
    chunks = [result["metadata"]["x-amz-bedrock-kb-chunk-id"] for page in pages for result in page["retrievalResults"]]
    together = retrieve(bedrock, filter=REGULAR, numberOfResults=100)["retrievalResults"]
    assert [len(page["retrievalResults"]) for page in pages[:-1]] == [10] * (len(pages) - 1)
    assert chunks == [result["metadata"]["x-amz-bedrock-kb-chunk-id"] for result in together]
    assert len(set(chunks)) == len(chunks)


@pytest.mark.parametrize(
    "change",
    [
        {"retrievalQuery": {"text": "another question"}},
        {"retrievalConfiguration": {"vectorSearchConfiguration": {"filter": PLATINUM}}},
        {"retrievalConfiguration": {}},
        {"nextToken": "AAAA"},
        {"nextToken": "not-base64!"},
        {"nextToken": "e"},
    ],
)
def test_a_next_token_is_good_for_its_own_query_and_filter_only(bedrock, change):
    request = {
        "knowledgeBaseId": KNOWLEDGE_BASE_ID,
        "retrievalQuery": {"text": QUESTION},
        "retrievalConfiguration": {"vectorSearchConfiguration": {"filter": REGULAR}},
    }
    request["nextToken"] = bedrock.retrieve(**request)["nextToken"]
    assert bedrock.retrieve(**request)["retrievalResults"]
    with pytest.raises(bedrock.exceptions.ValidationException, match="nextToken"):
        bedrock.retrieve(**{**request, **change})


def test_a_next_token_with_an_altered_offset_is_refused(bedrock):
    token = retrieve(bedrock)["nextToken"]
    for altered in ("B" + token[1:], token[:-1] + ("A" if token[-1] != "A" else "Q"), token[:7]):
        with pytest.raises(bedrock.exceptions.ValidationException, match="nextToken"):
            bedrock.retrieve(knowledgeBaseId=KNOWLEDGE_BASE_ID, retrievalQuery={"text": QUESTION}, nextToken=altered)


# What the genuine client lets through, and the service refuses.
REFUSED_AFTER_THE_CLIENT = [
    ({"numberOfResults": 101}, "less than or equal to 100"),
    ({"overrideSearchType": "LEXICAL"}, "overrideSearchType"),
    ({"filter": {"equals": {"key": "k" * 101, "value": "x"}}}, "1 to 100"),
    ({"filter": {"andAll": [REGULAR] * 6}}, "2 to 5"),
    ({"filter": {"andAll": [REGULAR, {"orAll": [REGULAR, {"andAll": [REGULAR, REGULAR]}]}]}}, "nested too deeply"),
    ({"filter": {"equals": {"key": "tier", "value": ["regular"]}}}, "a string, a number or a boolean"),
    ({"filter": {"in": {"key": "tier", "value": "regular"}}}, "a list of strings"),
    ({"filter": {"greaterThan": {"key": "year", "value": "2020"}}}, "a number"),
    ({"filter": {"startsWith": {"key": "tier", "value": 1}}}, "a string"),
    (
        {
            "implicitFilterConfiguration": {
                "metadataAttributes": [{"key": "tier", "type": "STRING", "description": "the tier"}],
                "modelArn": "arn:aws:bedrock:eu-west-1::foundation-model/x",
            }
        },
        "not known here",
    ),
]


@pytest.mark.parametrize(("search", "reason"), REFUSED_AFTER_THE_CLIENT)
def test_the_client_raises_a_validation_exception(bedrock, search, reason):
    with pytest.raises(bedrock.exceptions.ValidationException, match=reason) as refusal:
        retrieve(bedrock, **search)
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert refusal.value.response["Error"]["Code"] == "ValidationException"
    assert refusal.value.response["ResponseMetadata"]["RequestId"]


def test_a_text_of_20000_characters_is_served_and_one_more_is_refused(bedrock):
    assert retrieve(bedrock, "deductible " * 1818 + "de")["retrievalResults"]
    for text in ("x" * 20_001, ""):
        with pytest.raises(bedrock.exceptions.ValidationException, match=r"retrievalQuery\.text"):
            retrieve(bedrock, text)


@pytest.mark.parametrize("identifier", ["TENANTGAT", "TENANTGATE1", "TENANT-ATE", "arn:aws:s3:::bucket/TENANTGATE"])
def test_a_malformed_knowledge_base_id_is_a_validation_exception(port, identifier):
    status, headers, content = send(port, query(), f"/knowledgebases/{identifier}/retrieve")
    assert (status, headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert "knowledgeBaseId" in content["message"]


@pytest.mark.parametrize(
    "identifier", ["ABCDEFGHIJ", "tenantgate", "arn:aws:bedrock:eu-west-1:123456789012:knowledge-base/ABCDEFGHIJ"]
)
def test_an_unknown_knowledge_base_is_not_found(bedrock, identifier):
    with pytest.raises(bedrock.exceptions.ResourceNotFoundException) as refusal:
        bedrock.retrieve(knowledgeBaseId=identifier, retrievalQuery={"text": "x"})
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


MALFORMED_BODIES = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b"\xff\xfe",
    b'{"retrievalQuery": {"text": "\\ud800"}}',
    b"[" * 100_000,
    {},
    {"retrievalQuery": {}},
    {"retrievalQuery": "text"},
    {"retrievalQuery": {"text": ["x"]}},
    {"retrievalQuery": {"text": "x", "type": "IMAGE"}},
    {"retrievalQuery": {"text": "x"}, "retrieval_configuration": {}},
    {"retrievalQuery": {"text": "x"}, "retrievalConfiguration": None},
    {"retrievalQuery": {"text": "x"}, "retrievalConfiguration": {"managedSearchConfiguration": {"filter": REGULAR}}},
    {"retrievalQuery": {"text": "x"}, "guardrailConfiguration": {"guardrailId": "x", "guardrailVersion": "1"}},
    {"retrievalQuery": {"text": "x"}, "nextToken": "has space"},
    {"retrievalQuery": {"text": "x"}, "nextToken": "x" * 2049},
    query(numberOfResults=0),
    query(numberOfResults=True),
    query(numberOfResults="5"),
    query(numberOfResults=2.5),
    query(filters=REGULAR),
    query(filter=None),
    query(filter={}),
    query(filter=[REGULAR]),
    query(filter={**REGULAR, "notEquals": {"key": "tier", "value": "x"}}),
    query(filter={"eq": {"key": "tier", "value": "regular"}}),
    query(filter={"andAll": [REGULAR]}),
    query(filter={"equals": {"key": "", "value": "x"}}),
    query(filter={"equals": {"key": "tier", "value": float("inf")}}),
    query(rerankingConfiguration={"type": "BEDROCK_RERANKING_MODEL"}),
]


@pytest.mark.parametrize("body", MALFORMED_BODIES, ids=lambda body: str(body)[:60])
def test_a_malformed_body_is_a_validation_exception(port, body):
    status, headers, content = send(port, body)
    assert (status, headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert headers["content-type"] == "application/json"
    assert set(content) == {"message"}


def test_a_refusal_does_not_repeat_the_query(port):
    _, _, content = send(port, {"retrievalQuery": {"text": "a secret question " * 2000}})
    assert "secret" not in content["message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", PATH, 405),
        ("PUT", PATH, 405),
        ("DELETE", PATH, 405),
        ("POST", "/", 404),
        ("POST", f"{PATH}/", 404),
        ("POST", f"/knowledgebases/{KNOWLEDGE_BASE_ID}", 404),
        ("POST", f"/knowledgebases/{KNOWLEDGE_BASE_ID}/rerank", 404),
    ],
)
def test_another_method_or_path_is_an_unknown_operation(port, method, path, status):
    answered, headers, content = send(port, query(), path, method)
    assert (answered, headers["x-amzn-errortype"]) == (status, "UnknownOperationException")
    assert headers["allow"] == ("POST" if status == 405 else None)
    assert set(content) == {"message"}


def test_a_body_over_one_mebibyte_is_refused(port):
    status, headers, _ = send(port, b'{"retrievalQuery": {"text": "' + b"x" * 1024 * 1024 + b'"}}')
    assert (status, headers["x-amzn-errortype"]) == (413, "RequestEntityTooLargeException")


TYPED = {
    "new": {"tier": "regular", "year": 2024, "active": True, "topics": ["auto", "windshield"]},
    "old": {"tier": "platinum", "year": 2019.5, "active": False, "topics": ["home"]},
    "bare": None,
}
MEMBERS = {str: "stringValue", int: "numberValue", float: "numberValue", bool: "booleanValue", list: "stringListValue"}
TYPES = {str: "STRING", int: "NUMBER", float: "NUMBER", bool: "BOOLEAN", list: "STRING_LIST"}

OPERATORS = [
    ("equals", "tier", "regular", {"new"}),
    ("equals", "active", False, {"old"}),
    ("equals", "year", 2019.5, {"old"}),
    ("notEquals", "tier", "regular", {"old", "bare"}),
    ("in", "tier", ["regular", "gold"], {"new"}),
    ("notIn", "tier", ["regular", "gold"], {"old", "bare"}),
    ("greaterThan", "year", 2020, {"new"}),
    ("greaterThanOrEquals", "year", 2019.5, {"new", "old"}),
    ("lessThan", "year", 2024, {"old"}),
    ("lessThanOrEquals", "year", 2024, {"new", "old"}),
    ("startsWith", "tier", "plat", {"old"}),
    ("listContains", "topics", "windshield", {"new"}),
    ("stringContains", "tier", "gul", {"new"}),
    ("stringContains", "topics", "hom", {"old"}),
]


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A knowledge base whose sidecars use the typed form."""
    folder = tmp_path_factory.mktemp("typed")
    for name, attributes in TYPED.items():
        (folder / f"{name}.txt").write_text(f"The {name} document.")
        if attributes is not None:
            written = {
                key: {"value": {"type": TYPES[type(value)], MEMBERS[type(value)]: value}, "includeForEmbedding": False}
                for key, value in attributes.items()
            }
            (folder / f"{name}.txt.metadata.json").write_text(json.dumps({"metadataAttributes": written}))
    corpus = Corpus.load(folder, tmp_path_factory.mktemp("embeddings"))
    with listening(create_knowledge_base(corpus)) as running, client_of(running.port) as client:
        yield client


def names(answer):
    uris = [result["location"]["s3Location"]["uri"] for result in answer["retrievalResults"]]
    return {uri.rpartition("/")[2].removesuffix(".txt") for uri in uris}


@pytest.mark.parametrize(("operator", "key", "value", "expected"), OPERATORS)
def test_every_operator_works_through_the_genuine_client(typed, operator, key, value, expected):
    assert names(retrieve(typed, filter={operator: {"key": key, "value": value}})) == expected


def test_groups_work_through_the_genuine_client(typed):
    active = {"equals": {"key": "active", "value": True}}
    assert names(retrieve(typed, filter={"orAll": [REGULAR, PLATINUM]})) == {"new", "old"}
    assert names(retrieve(typed, filter={"andAll": [{"orAll": [REGULAR, PLATINUM]}, active]})) == {"new"}


def test_attributes_keep_their_types_on_the_wire(typed):
    (result,) = retrieve(typed, filter=REGULAR)["retrievalResults"]
    assert {key: result["metadata"][key] for key in ("tier", "year", "active", "topics")} == TYPED["new"]


FOREIGN_HOSTS = [
    *(
        ["rebound.example"],
        ["rebound.example:{port}"],
        ["127.0.0.1.rebound.example:{port}"],
        ["127.0.0.1@rebound.example"],
    ),
    *(["localhost.rebound.example"], ["10.0.0.1:{port}"], ["0.0.0.0:{port}"], ["[::2]:{port}"], ["127.0.0.1:{port}/x"]),
    *([""], [], ["127.0.0.1:{port}", "rebound.example"]),
]


@pytest.mark.parametrize("hosts", FOREIGN_HOSTS, ids=str)
def test_a_host_that_is_not_this_machine_reads_no_document(port, hosts):
    """R121: a name of somebody else's that leads here (DNS rebinding)."""
    status, content = send_as(port, [host.format(port=port) for host in hosts])
    assert status in {400, 421}
    assert b"deductible" not in content
    assert b"metadata" not in content


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}", "LOCALHOST", "[::1]:{port}"])
def test_the_names_of_this_machine_are_answered(port, host):
    status, content = send_as(port, [host.format(port=port)])
    assert status == 200
    assert b"retrievalResults" in content


def send_as(port, hosts):
    """One request with these Host headers; returns status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.putrequest("POST", PATH, skip_host=True)
        for host in hosts:
            connection.putheader("Host", host)
        payload = json.dumps(query(filter=REGULAR)).encode()
        connection.putheader("Content-Length", str(len(payload)))
        connection.endheaders(payload)
        response = connection.getresponse()
        return response.status, response.read()


def test_throttling_reaches_the_caller_as_a_throttling_exception(bedrock, faults):
    faults.throttle = 1
    with pytest.raises(bedrock.exceptions.ThrottlingException) as refusal:
        retrieve(bedrock)
    assert refusal.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert retrieve(bedrock)["retrievalResults"]


def test_the_clients_own_retries_get_over_two_throttled_answers(port, faults):
    faults.throttle = 2
    with client_of(port, attempts=3) as patient:
        answer = retrieve(patient)
    assert answer["ResponseMetadata"]["RetryAttempts"] == 2
    assert faults.throttle == 0


def test_a_failure_reaches_the_caller_as_an_internal_server_exception(bedrock, faults):
    faults.fail = 1
    with pytest.raises(bedrock.exceptions.InternalServerException):
        retrieve(bedrock)


def test_a_response_can_be_delayed(bedrock, faults):
    faults.delay, faults.delay_seconds = 1, 0.3
    started = time.monotonic()
    retrieve(bedrock)
    assert time.monotonic() - started >= 0.3


def test_the_filter_can_be_ignored_so_that_callers_are_seen_to_check(bedrock, faults):
    faults.ignore_filter = 1
    assert len(retrieve(bedrock, filter=REGULAR, numberOfResults=100)["retrievalResults"]) == 68
    assert len(retrieve(bedrock, filter=REGULAR, numberOfResults=100)["retrievalResults"]) == 34


def test_a_defect_of_our_own_is_an_internal_server_exception():
    class BrokenCorpus:
        def search(self, *_, **__):
            raise RuntimeError("a secret detail")

    with listening(create_knowledge_base(BrokenCorpus())) as running:  # pyright: ignore[reportArgumentType]
        status, headers, content = send(running.port, query())
    assert (status, headers["x-amzn-errortype"]) == (500, "InternalServerException")
    assert "secret" not in content["message"]


def test_the_event_loop_answers_others_while_a_search_runs(port):
    answered: list[int] = []
    search = threading.Thread(
        target=lambda: answered.append(send(port, {"retrievalQuery": {"text": "a b c d " * 250}})[0])
    )
    search.start()
    time.sleep(0.1)
    others = [send(port, b"", "/")[0] for _ in range(5)]
    still_searching = search.is_alive()
    search.join()
    assert others == [404] * 5
    assert still_searching
    assert answered == [200]


@pytest.mark.parametrize("identifier", ["", "short", "elevenchars", "with-hyphe", "TENANTGATÉ"])
def test_the_application_refuses_an_id_that_bedrock_would_not_issue(identifier):
    with pytest.raises(StartupError, match="exactly 10 letters or digits"):
        create_knowledge_base(None, identifier)  # pyright: ignore[reportArgumentType]
