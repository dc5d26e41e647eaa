"""What people of the development stack see of their own calls, and of nobody else's."""

import hashlib
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest

from server.dev.stack import Stack

SCOPES = ("openid", "claims:read", "policies:read")
QUERY = {"query": "What is the deductible for auto insurance?"}


@dataclass(frozen=True)
class Person:
    """Someone who calls tools, then looks at what a call did."""

    stack: Stack
    http: httpx2.Client
    token: str

    def call(self, tool: str, arguments: dict[str, Any]) -> str:
        """Return the request id of one call."""
        sent = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        headers = {**self.headers, "Accept": "application/json, text/event-stream"}
        return self.http.post(self.stack.addresses.mcp_url, json=sent, headers=headers).headers["x-request-id"]

    def look(self, request: str, arguments: Any) -> httpx2.Response:
        return self.http.post(self.address(request), json={"arguments": arguments}, headers=self.headers)

    def read(self, request: str, document: str) -> httpx2.Response:
        return self.http.get(f"{self.address(request)}/documents/{document}", headers=self.headers)

    def address(self, request: str) -> str:
        return f"{self.stack.addresses.issuer}/development/calls/{request}"

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@pytest.fixture
def mike(stack: Stack, http: httpx2.Client) -> Person:
    return Person(stack, http, stack.issuer.mint("mike-broker-a", scopes=SCOPES))


@pytest.fixture
def emma(stack: Stack, http: httpx2.Client) -> Person:
    return Person(stack, http, stack.issuer.mint("emma-broker-b", scopes=SCOPES))


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("summarize_claims", {"period": "last_week"}),
        ("summarize_claims", {"group_by": "status", "min_amount": "100"}),
        ("query_claims", {}),
        ("query_claims", {"claim_number": "CLM-B-001", "limit": 3}),
    ],
)
def test_a_person_sees_the_record_and_the_very_sql_of_their_own_call(mike, tool, arguments):
    shown = mike.look(mike.call(tool, arguments), arguments).json()
    record, statement = shown["record"], shown["statement"]
    assert (record["tool"], record["tenant"], record["outcome"]) == (tool, "broker-a", "answered")
    assert hashlib.sha256(statement["sql"].encode()).hexdigest() == record["statements"][0]["digest"]
    assert "broker-a" not in f"{statement}"
    assert shown["filter"] is None


def test_both_tenants_send_the_same_sql(mike, emma):
    sent = {"period": "last_week"}
    first, second = (one.look(one.call("summarize_claims", sent), sent).json()["statement"] for one in (mike, emma))
    assert first == second


def test_a_search_shows_the_filter_that_the_token_gave(mike, emma):
    for person, tier in ((mike, "regular"), (emma, "platinum")):
        shown = person.look(person.call("search_policies", QUERY), QUERY).json()
        assert shown["filter"] == {"equals": {"key": "tier", "value": tier}}
        assert shown["statement"] is None


def test_another_persons_call_answers_like_one_that_does_not_exist(mike, emma):
    """R260: a request id alone shows nothing."""
    request = mike.call("query_claims", {})
    foreign, missing = emma.look(request, {}), emma.look("0" * 16, {})
    assert foreign.status_code == missing.status_code == 404
    assert foreign.content == missing.content


def test_other_arguments_than_those_of_the_call_show_no_sql(mike):
    shown = mike.look(mike.call("query_claims", {}), {"limit": 1}).json()
    assert shown["record"]["tool"] == "query_claims"
    assert shown["statement"] is None


@pytest.mark.parametrize(
    ("person", "scopes", "outcome"),
    [("nora-no-tier", SCOPES, "RefusedError"), ("mike-broker-a", ("openid", "claims:read"), "ScopeMissingError")],
)
def test_a_refused_call_shows_its_record_alone(stack, http, person, scopes, outcome):
    caller = Person(stack, http, stack.issuer.mint(person, scopes=scopes))
    shown = caller.look(caller.call("search_policies", QUERY), QUERY).json()
    assert shown["record"]["outcome"] == outcome
    assert shown["statement"] is shown["filter"] is None


def test_a_document_is_shown_only_where_the_call_returned_a_passage_of_it(mike, emma):
    request = mike.call("search_policies", {**QUERY, "limit": 1})
    found = mike.read(request, "auto-policy-regular.md")
    assert found.json()["text"].startswith("# Auto Insurance Policy Guide: Regular Plan")
    for other in (
        "claims-guide-regular.md",
        "auto-policy-platinum.md",
        "rows.sql",
        "../people.toml",
        "..%2fpeople.toml",
    ):
        assert mike.read(request, other).status_code == 404
    assert emma.read(request, "auto-policy-regular.md").status_code == 404


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"arguments": 1}', "{", "[" * 50_000])
def test_a_body_without_arguments_is_named(mike, http, body):
    answer = http.post(mike.address("0" * 16), content=body, headers=mike.headers)
    assert (answer.status_code, answer.json()["error"][:4]) == (400, "Send")


def test_without_a_genuine_token_nothing_is_shown(stack, http, mike):
    request = mike.call("query_claims", {})
    address = mike.address(request)
    assert http.post(address, json={"arguments": {}}).status_code == 401
    altered = {"Authorization": f"Bearer {mike.token[:-4]}AAAA"}
    assert http.post(address, json={"arguments": {}}, headers=altered).status_code == 401
    # The server itself has no such address.
    assert http.post(address.replace(stack.addresses.issuer, stack.addresses.mcp_url[:-4])).status_code == 404
