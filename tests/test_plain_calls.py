"""A plain tools/call, which the server answers itself, is answered as one that goes the SDK's way."""

import asyncio
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from conftest import ACCEPT, MODERN
from support.gate import MODERN_META

from server.auth.access_token import AccessToken
from server.catalog.loading import load_catalog
from server.catalog.offer import offered
from server.http.outcome import VerifiedRequest
from server.protocol import endpoint
from server.protocol.lists import KeptLists
from server.protocol.sdk import SdkEndpoint
from server.protocol.surface import Protocol

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
def test_the_fast_path_and_the_sdk_give_the_same_status_and_body(
    caller, monkeypatch, person, name, arguments, era
) -> None:
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
    assert "not a text that contains JSON" in error["message"]


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


LISTS = ["tools/list", "prompts/list", "resources/list", "resources/templates/list"]


@pytest.mark.parametrize("era", ERAS)
def test_a_kept_list_is_what_the_sdk_made_for_any_caller(caller, era) -> None:
    callers = [caller(person) for person in ("mike-broker-a", "sarah-platinum", "omar-unmapped")]
    for method in LISTS:
        for params in ({}, {"cursor": "x"}, {"_meta": {"progressToken": 1}}, {"_meta": {}, "x": [1]}):
            for number, one in zip((1, "two", "\u00e9\u2028", 10**15), (*callers, callers[0]), strict=True):
                short = one.post(method, params, era=era, id=number)
                headers = [*short.request.headers.multi_items(), ("x-a", "1"), ("x-a", "2")]
                long = one.http.post(one.stack.addresses.mcp_url, content=short.request.content, headers=headers)
                assert short.status_code == long.status_code == 200
                assert short.json() == long.json() == short.json() | {"id": number}
                assert short.headers["content-type"] == long.headers["content-type"] == "application/json"


@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
@pytest.mark.parametrize("params", [{"cursor": 1}, {"_meta": []}, {"_meta": {"progressToken": []}}, {"cursor": ["x"]}])
def test_a_list_that_is_asked_for_wrongly_is_refused_though_it_is_kept(caller, era, params) -> None:
    mike = caller("mike-broker-a")
    for method in LISTS:
        assert "result" in mike.post(method, era=era).json()
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        if era == MODERN:
            meta = params.get("_meta", {})
            body["params"] = {**params, "_meta": MODERN_META | meta if isinstance(meta, dict) else meta}
        headers = {"accept": ACCEPT, "authorization": f"Bearer {mike.token}", "mcp-protocol-version": era}
        answer = mike.http.post(mike.stack.addresses.mcp_url, json=body, headers=headers | {"mcp-method": method})
        assert answer.json()["error"]["code"] == -32602


def test_a_long_list_holds_the_event_loop_once(stack) -> None:
    """R133: 165 ms for 400 tools, each time, where the SDK makes them anew."""
    offer = offered(load_catalog(stack.settings.catalog), stack.settings)
    nobody: Any = None
    protocol = Protocol(replace(offer, tools=offer.tools * 100), nobody)
    lists = KeptLists(SdkEndpoint(protocol.server, nobody))
    token = AccessToken("https://id.test", "somebody", None, frozenset(), 2**40, {})
    accept = (b"accept", b"application/json")

    async def spent_ms() -> list[float]:
        spent: list[float] = []
        for number in range(6):
            message = {"jsonrpc": "2.0", "id": number, "method": "tools/list"}
            request = VerifiedRequest({"type": "http", "headers": [accept]}, dict([accept]), b"", token, None)
            begun = time.thread_time()
            outcome = await lists(request, message)
            spent.append((time.thread_time() - begun) * 1_000)
            assert len(json.loads(outcome.body)["result"]["tools"]) == 400
        return spent

    first, *others = asyncio.run(spent_ms())
    assert min(others) < 20
    assert min(others) < first / 5
