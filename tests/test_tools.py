"""What the tools answer to whom, over HTTP, in both protocol eras."""

import json
import re

import pytest
from conftest import MODERN

ERAS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", MODERN]


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("person", "numbers"),
    [
        ("mike-broker-a", ["CLM-A-001", "CLM-A-002", "CLM-A-003"]),
        ("john-regular", ["CLM-A-001", "CLM-A-002", "CLM-A-003"]),
        ("nora-no-tier", ["CLM-A-001", "CLM-A-002", "CLM-A-003"]),
        ("emma-broker-b", ["CLM-B-001", "CLM-B-002"]),
        ("sarah-platinum", ["CLM-B-001", "CLM-B-002"]),
    ],
)
def test_the_same_question_is_answered_with_the_callers_own_claims(caller, person, numbers, era) -> None:
    result = caller(person).call("query_claims", era=era)
    assert sorted(claim["claim_number"] for claim in result["structuredContent"]["claims"]) == numbers


@pytest.mark.parametrize(("person", "count"), [("mike-broker-a", 2), ("emma-broker-b", 1)])
def test_last_week_has_a_known_count_that_differs_by_tenant(caller, person, count) -> None:
    assert caller(person).answer("summarize_claims", period="last_week")["total"]["count"] == count
    assert len(caller(person).answer("query_claims", period="last_week")["claims"]) == count


@pytest.mark.parametrize(
    ("person", "own", "foreign"), [("john-regular", "$1,000", "$500"), ("sarah-platinum", "$500", "$1,000")]
)
def test_the_deductible_is_the_callers_tiers_own(caller, person, own, foreign) -> None:
    found = caller(person).answer("search_policies", query="What is the deductible for auto insurance?", limit=20)
    assert own in found["passages"][0]["text"]
    assert foreign not in json.dumps(found)
    assert {passage["metadata"]["tier"] for passage in found["passages"]} == {found["tier"]}


def test_without_a_tier_claims_are_answered_and_documents_refused(caller) -> None:
    nora = caller("nora-no-tier")
    refused = nora.call("search_policies", query="What is the deductible for auto insurance?")
    assert refused["isError"]
    assert refused["content"][0]["text"].startswith("Refused: your account is in no tier")
    assert nora.answer("query_claims")["claims"]


@pytest.mark.parametrize("tool", ["query_claims", "summarize_claims", "search_policies"])
def test_without_a_tenant_every_tool_with_data_is_refused(caller, tool) -> None:
    arguments = {"query": "deductible"} if tool == "search_policies" else {}
    response = caller("omar-unmapped").post("tools/call", {"name": tool, "arguments": arguments})
    assert response.status_code == 403
    assert response.json()["error"] == {
        "code": -32003,
        "message": "Your account belongs to no tenant; ask your administrator to assign your account to one.",
    }


def test_without_a_tenant_whoami_shows_who_is_asking(caller) -> None:
    identity = caller("omar-unmapped").answer("whoami")
    assert identity["tenant"] is None
    assert identity["subject"]


@pytest.mark.parametrize(("person", "foreign"), [("mike-broker-a", "CLM-B-001"), ("emma-broker-b", "CLM-A-001")])
@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
def test_another_tenants_claim_number_answers_byte_for_byte_like_a_missing_one(caller, person, foreign, era) -> None:
    """R73."""
    for tool in ("query_claims", "summarize_claims"):
        call = {"name": tool, "arguments": {"claim_number": foreign}}
        missing = {"name": tool, "arguments": {"claim_number": "CLM-X-999"}}
        one = caller(person).post("tools/call", call, era=era)
        other = caller(person).post("tools/call", missing, era=era)
        assert one.content == other.content
        assert foreign not in one.text


def test_whoami_shows_what_was_verified(caller) -> None:
    identity = caller("sarah-platinum").answer("whoami")
    assert (identity["tenant"], identity["tier"], identity["kind"]) == ("broker-b", "platinum", "person")
    assert identity["scopes"] == ["claims:read", "policies:read"]


@pytest.mark.parametrize("tool", ["query_claims", "summarize_claims", "search_policies", "whoami"])
@pytest.mark.parametrize("name", ["tenant_id", "tenant", "tier", "user_id"])
def test_arguments_cannot_name_another_tenant(caller, tool, name) -> None:
    result = caller("mike-broker-a").call(tool, **{"query": "x", name: "broker-b"})
    assert result["isError"]
    assert f"unknown argument '{name}'" in result["content"][0]["text"]
    assert "broker-b" not in json.dumps(result)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"limit": "5"}, "limit"),
        ({"limit": 0}, "limit"),
        ({"limit": 101}, "limit"),
        ({"limit": True}, "limit"),
        ({"limit": 10**30}, "limit"),
        ({"status": "lost"}, "'open', 'pending', 'approved', 'denied' or 'closed'"),
        ({"filed_from": "yesterday"}, "filed_from"),
        ({"filed_from": 20_000}, "filed_from"),
        ({"min_amount": "NaN"}, "min_amount"),
        ({"min_amount": -1}, "min_amount"),
        ({"customer_name": "a\x00b"}, "customer_name"),
        ({"customer_name": ""}, "customer_name"),
        ({"period": "last_week", "filed_from": "2026-01-01"}, "either period or filed_from"),
        ({"filed_from": "2026-02-01", "filed_to": "2026-01-01"}, "filed_from is later"),
        ({"min_amount": 2, "max_amount": 1}, "min_amount is larger"),
        ({"cursor": "bm90IGEgY3Vyc29y"}, "cursor"),
    ],
)
def test_a_wrong_argument_is_named_and_nothing_is_read(caller, arguments, named) -> None:
    result = caller("mike-broker-a").call("query_claims", **arguments)
    assert result["isError"]
    assert named in result["content"][0]["text"]
    assert "nothing was read" in result["content"][0]["text"].lower()


def test_pages_follow_each_other_without_gap_or_repeat(caller) -> None:
    mike = caller("mike-broker-a")
    for sort in ("filed_at", "amount", "customer_name"):
        for descending in (True, False):
            seen, cursor = [], None
            while True:
                page = mike.answer(
                    "query_claims", sort=sort, descending=descending, limit=1, **({"cursor": cursor} if cursor else {})
                )
                seen += [claim["claim_number"] for claim in page["claims"]]
                cursor = page["next_cursor"]
                if cursor is None:
                    break
            whole = mike.answer("query_claims", sort=sort, descending=descending)["claims"]
            assert seen == [claim["claim_number"] for claim in whole]
            assert len(seen) == 3


def test_a_cursor_serves_only_its_own_person_tenant_and_request(caller) -> None:
    """R75, R76."""
    cursor = caller("mike-broker-a").answer("query_claims", limit=1)["next_cursor"]
    assert caller("mike-broker-a").answer("query_claims", limit=2, cursor=cursor)["claims"]
    for person, arguments in [
        ("emma-broker-b", {}),
        ("john-regular", {}),
        ("mike-broker-a", {"status": "open"}),
        ("mike-broker-a", {"sort": "amount"}),
    ]:
        result = caller(person).call("query_claims", cursor=cursor, **arguments)
        assert result["isError"]
        assert "cursor does not belong to this request" in result["content"][0]["text"]
    tampered = ("A" if cursor[0] != "A" else "B") + cursor[1:]
    for other in (tampered, cursor + "=", cursor + "A", f"{cursor[:5]}!{cursor[5:]}"):
        assert caller("mike-broker-a").call("query_claims", cursor=other)["isError"]


@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
def test_an_unknown_tool_is_a_protocol_error_that_names_the_known_ones(caller, era) -> None:
    response = caller("mike-broker-a").post("tools/call", {"name": "drop_table", "arguments": {}}, era=era)
    assert response.json()["error"]["code"] == -32602
    assert "query_claims" in response.json()["error"]["message"]


@pytest.mark.parametrize("era", ERAS)
def test_structured_content_and_text_say_the_same(caller, era) -> None:
    result = caller("mike-broker-a").call("query_claims", era=era)
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]


def test_the_tool_list_is_described_for_a_model(caller) -> None:
    tools = {tool["name"]: tool for tool in caller("mike-broker-a").post("tools/list").json()["result"]["tools"]}
    assert set(tools) == {"query_claims", "search_policies", "summarize_claims", "whoami"}
    for tool in tools.values():
        assert tool["annotations"] == {
            "readOnlyHint": True,
            "destructiveHint": False,
            "idempotentHint": True,
            "openWorldHint": False,
        }
        assert tool["inputSchema"]["additionalProperties"] is False
        assert all("description" in described for described in tool["inputSchema"].get("properties", {}).values())
        assert not any("tenant" in name for name in tool["inputSchema"].get("properties", {}))
        # R96: what a schema refers to stands in the schema itself.
        assert all(target.startswith("#/") for target in re.findall(r'"\$ref": "([^"]*)"', json.dumps(tool)))


def test_the_modern_tool_list_is_cacheable_for_its_caller_alone(caller) -> None:
    result = caller("mike-broker-a").post("tools/list", era=MODERN).json()["result"]
    assert result["cacheScope"] == "private"
    assert result["ttlMs"] > 0
