"""What a knowledge base found is shown as what it is: rows, recordings, guardrails, pages and places.

The numbers of cases are those of public reports about other servers in front of Bedrock's Retrieve.
"""

import asyncio
import json
from datetime import UTC, datetime

import pytest
from support.scripted_store import always, scripted_store
from support.searching import OWN, QUESTION, REGULAR, at, documents, in_s3, outcomes, page, service_enum
from support.searching import credentials as credentials  # noqa: PLC0414  # a fixture

from server.catalog.access import Scope, grant_access
from server.catalog.declarations import Search
from server.catalog.search import SearchTool
from server.documents.bedrock.result import found_in
from server.errors import RefusedError
from server.tenancy.context import TenantContext


def with_content(**content):
    return {**OWN, "content": content}


# --- Case 14: results that vanish ------------------------------------------------------------------------------------

ROW = [
    {"columnName": "deductible", "columnValue": "500", "type": "LONG"},
    {"columnName": "share", "columnValue": "0.5", "type": "DOUBLE"},
    {"columnName": "active", "columnValue": "true", "type": "BOOLEAN"},
    {"columnName": "holder", "columnValue": "Zoë", "type": "STRING"},
    {"columnName": "ended_on", "type": "NULL"},
    {"columnName": "scan", "columnValue": "aGk=", "type": "BLOB"},
]
CONTENTS = {
    "a text": ({"type": "TEXT", "text": "own"}, "own"),
    "a text of no stated kind": ({"text": "own"}, "own"),
    "the row of case 14": ({"type": "ROW", "row": ROW[:1]}, "deductible: 500"),
    "a row of every type": (
        {"type": "ROW", "row": ROW},
        "deductible: 500\nshare: 0.5\nactive: true\nholder: Zoë\nended_on: NULL\nscan: (binary)",
    ),
    "a row with a nameless column": ({"type": "ROW", "row": [{"columnValue": "7", "type": "LONG"}]}, "7"),
    "a video": ({"type": "VIDEO", "video": {"s3Uri": "s3://b/v.mp4", "summary": "A crash."}}, "A crash."),
    "an audio": ({"type": "AUDIO", "audio": {"s3Uri": "s3://b/a.mp3", "transcription": "Hello."}}, "Hello."),
    "a described image": ({"type": "IMAGE", "byteContent": "data:x", "text": "A chart."}, "A chart."),
    "a row with an empty text": ({"type": "ROW", "text": "", "row": ROW[:1]}, "deductible: 500"),
}
TEXTLESS = {
    "an image": {"type": "IMAGE", "byteContent": "data:image/png;base64,aGk="},
    "a silent audio": {"type": "AUDIO", "audio": {"s3Uri": "s3://b/a.mp3", "transcription": ""}},
    "a video without a summary": {"type": "VIDEO", "video": {"s3Uri": "s3://b/v.mp4"}},
    "a row without columns": {"type": "ROW", "row": []},
    "white space": {"type": "TEXT", "text": " \n"},
}


def test_every_kind_of_content_is_text_and_what_has_none_is_counted(monkeypatch):
    """Case 14, over the wire: an answer of all kinds at once."""
    results = [with_content(**content) for content, _ in CONTENTS.values()]
    results += [with_content(**content) for content in TEXTLESS.values()]
    canary = {**with_content(type="IMAGE"), "metadata": {**REGULAR, "document_type": "tenantgate-canary"}}
    with scripted_store(always(page(*results, canary))) as store, documents(monkeypatch, store.url) as (own, _):
        found = asyncio.run(own.search(QUESTION, 20))
    assert [one.text for one in found] == [text for _, text in CONTENTS.values()]
    assert found.left_out == len(TEXTLESS)


ODD_ROWS = [None, "x", 5, {}, [None, 5, "x"], [{"columnName": 5}, {"columnValue": []}]]


@pytest.mark.parametrize("row", ODD_ROWS, ids=repr)
def test_a_malformed_row_is_left_out_and_stops_nothing(row):
    """Beyond case 14: what is no row of the service's model."""
    assert "x" not in found_in({"content": {"type": "ROW", "row": row}}).text


def test_the_kinds_of_content_are_those_of_the_services_model():
    """A new kind would be counted as left out; this test then says that there is one."""
    assert service_enum("RetrievalResultContentType") == {"AUDIO", "IMAGE", "ROW", "TEXT", "VIDEO"}
    assert service_enum("RetrievalResultContentColumnType") == {column["type"] for column in ROW}


GUARDED = (
    "A guardrail of the document store withheld the answer to this question, so no passage is shown; "
    "that does not mean that there is none. Ask in other words; a retry with the same ones does not help."
)


def test_an_intervention_of_a_guardrail_is_said_whatever_comes_with_it(monkeypatch):
    """Case 14; also beside results, and on a later page."""
    answers = [
        page(guardrailAction="INTERVENED"),
        page(OWN, guardrailAction="INTERVENED"),
        page(OWN, nextToken="more"),
        page(guardrailAction="INTERVENED", nextToken="more"),
        page(OWN, guardrailAction="NONE"),
    ]
    found, requests = outcomes(monkeypatch, *answers)
    assert len(requests) == 6
    refused = [one for one in found if isinstance(one, Exception)]
    assert [(type(one), str(one)) for one in refused] == [(RefusedError, GUARDED)] * 3
    assert {str(one.__cause__) for one in refused} == {"guardrailAction INTERVENED"}
    assert [len(one) for one in found if not isinstance(one, Exception)] == [1, 1]


@pytest.mark.parametrize(("results", "shown"), [([with_content(type="IMAGE")] * 2, {"left_out": 2}), ([OWN], {})])
def test_a_search_tool_says_how_many_passages_have_no_text(monkeypatch, results, shown):
    """Case 14: never the same answer as "nothing matches"."""
    with scripted_store(always(page(*results))) as store, documents(monkeypatch, store.url) as (own, _):
        context = TenantContext("broker-a", "regular", None)  # pyright: ignore[reportArgumentType]
        access = grant_access(context, datetime.now(UTC), Scope(None, own, None, None))  # pyright: ignore[reportArgumentType]
        tool = SearchTool(Search(tool="find", description="Finds.", scope="find"))
        said = json.loads(asyncio.run(tool.answer({"query": QUESTION}, access)))
    assert len(said.pop("passages")) == (0 if shown else 1)
    assert said == {"tier": "regular", **shown}


# --- Case 15: page and place lost ------------------------------------------------------------------------------------

PLACES = {
    "the page of case 15": (
        {
            "metadata": {"tier": "regular", "x-amz-bedrock-kb-document-page-number": 12.0},
            "location": {"type": "S3", "s3Location": {"uri": "s3://docs/auto/policy.pdf"}},
        },
        ("docs", "auto", "policy.pdf"),
        12,
    ),
    "a Kendra index": (
        {
            "metadata": {"_excerpt_page_number": 3},
            "location": {"type": "KENDRA", "kendraDocumentLocation": {"uri": "https://x.example/a/b.pdf"}},
        },
        ("x.example", "a", "b.pdf"),
        3,
    ),
    "a managed knowledge base": (
        {"metadata": {"_source_uri": "s3://docs/home/a.pdf"}},
        ("docs", "home", "a.pdf"),
        None,
    ),
    "a source in the metadata alone": (
        {"metadata": {"x-amz-bedrock-kb-source-uri": "s3://docs/b.md", "x-amz-bedrock-kb-document-page-number": 1}},
        ("docs", "b.md"),
        1,
    ),
    "a recording": (
        {"content": {"type": "VIDEO", "video": {"s3Uri": "s3://docs/crash.mp4", "summary": "x"}}},
        ("docs", "crash.mp4"),
        None,
    ),
    "a query of SQL, which names no document": (
        {"location": {"type": "SQL", "sqlLocation": {"query": "SELECT a FROM b/c"}}, "documentId": "row-7"},
        ("row-7",),
        None,
    ),
    "a number for an address": ({"location": {"type": "WEB", "webLocation": {"url": 5}}, "documentId": 7}, (), None),
}


@pytest.mark.parametrize(("result", "path", "number"), PLACES.values(), ids=PLACES)
def test_a_passage_has_its_page_and_place_from_wherever_they_are_known(result, path, number):
    """Case 15."""
    found = found_in({"content": {"text": "x"}, **result})
    assert (found.path, found.page) == (path, number)


LOCATIONS = {
    "S3": ("s3Location", "uri", "s3://docs/{}/policy.pdf"),
    "WEB": ("webLocation", "url", "https://x.example/{}/policy.pdf"),
    "CONFLUENCE": ("confluenceLocation", "url", "https://x.example/wiki/{}/policy.pdf"),
    "SALESFORCE": ("salesforceLocation", "url", "https://x.example/lightning/{}/policy.pdf"),
    "SHAREPOINT": ("sharePointLocation", "url", "https://x.example/sites/{}/policy.pdf?web=1"),
    "CUSTOM": ("customDocumentLocation", "id", "{}/policy.pdf"),
    "KENDRA": ("kendraDocumentLocation", "uri", "https://x.example/{}/policy.pdf"),
    "ONEDRIVE": ("oneDriveLocation", "url", "https://x.example/personal/{}/policy.pdf"),
    "GOOGLEDRIVE": ("googleDriveLocation", "url", "https://x.example/drive/{}/policy.pdf"),
}


def test_two_documents_of_one_name_are_distinguished_in_every_kind_of_place(monkeypatch):
    """Case 15, over the wire; SQL has no documents."""
    assert {*LOCATIONS, "SQL"} == service_enum("RetrievalResultLocationType")
    pairs = [
        page(*(at(type=kind, **{member: {name: address.format(folder)}}) for folder in ("auto", "home")))
        for kind, (member, name, address) in LOCATIONS.items()
    ]
    found, _ = outcomes(monkeypatch, *pairs)
    assert [[one.document for one in passages] for passages in found] == [["auto/policy.pdf", "home/policy.pdf"]] * 9


def web(url):
    return at(type="WEB", webLocation={"url": url})


def test_documents_that_differ_after_their_path_alone_have_a_digest_beside_their_name(monkeypatch):
    """Beyond case 15: wiki pages by number, and keys of S3 with the characters that end a path elsewhere."""
    wiki = "https://x.example/pages/viewpage.action?pageId="
    answers = (
        page(web(f"{wiki}1"), web(f"{wiki}2"), web(f"{wiki}1#part")),
        page(in_s3("s3://docs/a#1.md"), in_s3("s3://docs/a#2.md"), in_s3("s3://docs/what?.md")),
        page(web(f"{wiki}1&token=secret")),
        page(in_s3("s3://docs/a%20b.md"), in_s3("s3://docs/a b.md")),
    )
    found, _ = outcomes(monkeypatch, *answers)
    wikis, keys, alone, escaped = [[one.document for one in passages] for passages in found]
    assert wikis[0] == wikis[2] != wikis[1]
    assert all(name.startswith("viewpage.action (") for name in wikis)
    assert keys == ["a#1.md", "a#2.md", "what?.md"]
    assert alone == ["viewpage.action"]
    assert escaped[0] != escaped[1]
    assert "secret" not in repr(found)
