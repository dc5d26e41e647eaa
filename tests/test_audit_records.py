"""What the running server puts into its audit trail, before anything leaves it."""

import json
import resource

import pytest
from conftest import MODERN

from server.audit.verify import verify
from server.http.outcome import Decision, Outcome


@pytest.fixture
def records(stack):
    """Return a function to what was recorded since the fixture was made."""
    path = stack.settings.audit.path
    before = len(path.read_text().splitlines())

    def since():
        # What the trail says of itself stands between them.
        written = [json.loads(line) for line in path.read_text().splitlines()[before:]]
        return [record for record in written if "event" not in record]

    return since


def test_r103_each_decision_and_each_access_is_recorded_without_the_data(caller, anonymous, records) -> None:
    """R103."""
    mike = caller("mike-broker-a")
    mike.answer("query_claims", customer_name="Alice")
    mike.call("search_policies", query="deductible", limit=99)
    caller("omar-unmapped").post("tools/call", {"name": "query_claims", "arguments": {}})
    caller("mike-broker-a", scopes=["policies:read"]).post("tools/call", {"name": "query_claims", "arguments": {}})
    anonymous.post("tools/list")
    answered, wrong, unmapped, unscoped, unknown = records()
    assert (answered["tenant"], answered["tool"], answered["outcome"], answered["status"]) == (
        "broker-a",
        "query_claims",
        "answered",
        200,
    )
    assert wrong["outcome"] == "ArgumentsError"
    assert (unmapped["outcome"], unmapped["status"]) == ("TenancyError", 403)
    assert unmapped["refused"] == "the person has no tenant"
    assert "tenant" not in unmapped
    assert (unscoped["outcome"], unscoped["status"]) == ("ScopeMissingError", 403)
    assert (unknown["refused"], unknown["status"]) == ("no bearer token", 401)
    text = json.dumps(records())
    assert mike.token not in text
    assert "Alice" not in text
    assert "CLM-" not in text


def test_r106_what_cannot_be_recorded_is_not_released(caller, anonymous, stack) -> None:
    """R106: neither data, nor what the SDK answers, nor a refusal."""
    mike = caller("mike-broker-a")
    mike.answer("query_claims")
    call = {"name": "query_claims", "arguments": {}}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (stack.settings.audit.path.stat().st_size, limits[1]))
    try:
        responses = [
            mike.post("tools/call", call),
            mike.post("tools/call", call, other=1),
            mike.post("tools/list"),
            mike.post("tools/list", era=MODERN),
            anonymous.post("tools/list"),
        ]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    for response in responses:
        assert response.status_code == 503
        assert response.headers["retry-after"] == "5"
        assert "www-authenticate" not in response.headers
        assert response.json()["error"]["message"].startswith("The server cannot record this access")
        assert "result" not in response.json()
    assert mike.answer("query_claims")["claims"]
    assert [one.broken for one in verify(stack.settings.audit.path)] == [None]


@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
def test_a_call_that_goes_the_sdks_way_is_recorded_like_a_plain_one(caller, records, era) -> None:
    calls = [
        ("mike-broker-a", None, {"name": "query_claims", "arguments": {}}),
        ("mike-broker-a", None, {"name": "query_claims", "arguments": {"limit": 0}}),
        ("mike-broker-a", None, {"name": "no_such_tool", "arguments": {}}),
        ("mike-broker-a", ["policies:read"], {"name": "query_claims", "arguments": {}}),
        ("omar-unmapped", None, {"name": "query_claims", "arguments": {}}),
    ]
    for person, scopes, call in calls:
        one = caller(person, scopes=scopes)
        plain = one.post("tools/call", call, era=era)
        headers = [*plain.request.headers.multi_items(), ("x-a", "1"), ("x-a", "2")]
        sdk = one.http.post(one.stack.addresses.mcp_url, content=plain.request.content, headers=headers)
        assert (plain.status_code, plain.json()) == (sdk.status_code, sdk.json())
    own = {"number", "time", "previous", "hash", "request", "ms", "database_ms"}
    written = [{name: record[name] for name in record.keys() - own} for record in records()]
    assert written[::2] == written[1::2]
    assert [record["outcome"] for record in written[::2]] == [
        *("answered", "ArgumentsError", "InvalidParams", "ScopeMissingError", "TenancyError")
    ]


def test_a_decision_cannot_be_changed_after_the_fact() -> None:
    decision = Decision("POST", tenant="broker-a")
    outcome = Outcome(200, b"{}", (), decision)
    with pytest.raises(AttributeError):
        decision.tenant = "broker-b"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(AttributeError):
        outcome.status = 403  # pyright: ignore[reportAttributeAccessIssue]
    assert decision.recorded(200) == {"method": "POST", "tenant": "broker-a", "status": 200}
    assert "cause" not in decision._replace(cause="secret").recorded(500)
