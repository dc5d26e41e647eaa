"""The short way of a plain tools/call answers what the SDK's way answers."""

from typing import Any

import pytest
from conftest import ACCEPT, MODERN

from server.protocol import calls

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

    original = calls._plain_call
    monkeypatch.setattr(calls, "_plain_call", watched)
    call = {"name": name, "arguments": arguments}
    short = one.post("tools/call", call, era=era)
    # A header that is sent twice is nothing plain, and means nothing to either.
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
