"""A plain tools/call, which the server answers itself, is answered as one that goes the SDK's way."""

from typing import Any

import pytest
from conftest import ACCEPT, MODERN

from server.protocol import endpoint

ERAS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", MODERN]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("person", "name", "arguments"),
    [
        ("mike-broker-a", "query_claims", {}),
        ("mike-broker-a", "query_claims", {"customer_name": "é\u2028😀"}),
        ("mike-broker-a", "summarize_claims", {"group_by": "week"}),
        ("mike-broker-a", "whoami", {}),
        ("nora-no-tier", "search_policies", {"query": "deductible"}),
        ("mike-broker-a", "query_claims", {"limit": 0, "tenant": "x"}),
        ("mike-broker-a", "no_such_tool", {}),
        ("omar-unmapped", "query_claims", {}),
    ],
)
def test_both_ways_give_the_same_status_and_body(caller, monkeypatch, person, name, arguments, era) -> None:
    one = caller(person)
    taken: list[bool] = []

    def watched(*given: Any) -> Any:
        taken.append((found := original(*given)) is not None)
        return found

    original = endpoint.plain_call
    monkeypatch.setattr(endpoint, "plain_call", watched)
    call = {"name": name, "arguments": arguments}
    short = one.post("tools/call", call, era=era)
    # A call with a header that is sent twice is not plain; this header means nothing.
    long = one.http.post(
        one.stack.addresses.mcp_url,
        content=short.request.content,
        headers=[*short.request.headers.multi_items(), ("x-a", "1"), ("x-a", "2")],
    )
    assert taken == [True, False]
    assert short.status_code == long.status_code
    assert short.json() == long.json()
    assert short.headers["content-type"] == long.headers["content-type"] == "application/json"


def test_without_the_scope_both_ways_refuse_with_the_same_challenge(caller) -> None:
    one = caller("mike-broker-a", scopes=["policies:read"])
    call = {"name": "query_claims", "arguments": {}}
    answers = [one.post("tools/call", call, headers={"accept": ACCEPT}), one.post("tools/call", call, other=1)]
    assert [answer.status_code for answer in answers] == [403, 403]
    assert len({answer.headers["www-authenticate"] for answer in answers}) == 1
    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
@pytest.mark.parametrize("arguments", ['{"limit": 1}', [1], 7, "", False])
def test_arguments_that_are_not_an_object_are_named(caller, era, arguments) -> None:
    """Case 19."""
    response = caller("mike-broker-a").post("tools/call", {"name": "query_claims", "arguments": arguments}, era=era)
    assert response.status_code == (400 if era == MODERN else 200)
    error = response.json()["error"]
    assert error["code"] == -32602
    assert error["message"].startswith("arguments must be an object")
    assert "no text that holds JSON" in error["message"]


@pytest.mark.parametrize("arguments", ['{"topic": "x"}', [1], 7, False])
def test_arguments_of_a_prompt_that_are_not_an_object_are_named(caller, arguments) -> None:
    """Case 19, of the other method that has arguments, and of a call that goes the SDK's way."""
    mike = caller("mike-broker-a")
    prompt = mike.post("prompts/get", {"name": "coverage_question", "arguments": arguments})
    tool = mike.post("tools/call", {"name": "query_claims", "arguments": arguments}, other=1)
    for response in (prompt, tool):
        assert response.json()["error"]["code"] == -32602
        assert response.json()["error"]["message"].startswith("arguments must be an object")


@pytest.mark.parametrize("tool", ["query_claims", "whoami"])
def test_arguments_may_be_null_or_left_out(caller, tool) -> None:
    for call in ({"name": tool}, {"name": tool, "arguments": None}):
        assert caller("mike-broker-a").post("tools/call", call).json()["result"]["isError"] is False


def test_a_modern_result_ends_as_the_sdk_ends_its_own(caller) -> None:
    """The SDK adds who served a result; a plain call must say the same."""
    mike = caller("mike-broker-a")
    called = mike.post("tools/call", {"name": "whoami", "arguments": {}}, era=MODERN).json()["result"]
    listed = mike.post("tools/list", era=MODERN).json()["result"]
    assert called["_meta"] == listed["_meta"]
    assert called["resultType"] == listed["resultType"]
