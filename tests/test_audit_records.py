"""What the running server puts into its audit trail, before anything leaves it."""

import hashlib
import json
import re
import resource
from base64 import urlsafe_b64decode
from collections.abc import Callable
from typing import Any

import pytest
from conftest import MODERN
from structlog.testing import capture_logs

from server.audit.verify import verify
from server.dev.stack import Stack
from server.http.outcome import Decision, Outcome


def claims_of(token: str) -> dict[str, Any]:
    return json.loads(urlsafe_b64decode(token.split(".")[1] + "=="))


@pytest.fixture
def records(stack: Stack) -> Callable[..., list[Any]]:
    """Return a function to what was recorded since the fixture was made."""
    path = stack.settings.audit.path
    assert path is not None
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


def test_r106_an_answer_that_cannot_be_recorded_is_not_released(caller, anonymous, stack) -> None:
    """R106: neither data, nor what the SDK answers, nor a refusal."""
    mike = caller("mike-broker-a")
    mike.answer("query_claims")
    call = {"name": "query_claims", "arguments": {}}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (stack.settings.audit.path.stat().st_size, limits[1]))
    try:
        # The limit holds for every file of this process, for what pytest keeps of its output too.
        with capture_logs():
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
    # A second server of this process has a file of its own beside it.
    assert {one.broken for one in verify(stack.settings.audit.path)} == {None}


@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
def test_a_call_that_the_sdk_answers_is_recorded_like_a_plain_one(caller, records, era) -> None:
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


def test_r103_a_call_is_recorded_with_who_what_and_which_result(caller, stack, records) -> None:
    """R103: the fields of docs/audit.md, each from where it is known."""
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    mike = caller("mike-broker-a")
    call = {"name": "query_claims", "arguments": {"customer_name": "a", "limit": 1}}
    response = mike.post("tools/call", call, headers={"traceparent": trace})
    shown = response.json()["result"]["structuredContent"]["claims"]
    (record,) = records()
    assert record.keys() == {
        *("number", "time", "previous", "hash", "request", "address", "ms", "trace", "method", "mcp_method", "status"),
        *("issuer", "subject", "client", "token_id", "scopes", "tenant", "tier", "tool", "definition", "arguments"),
        *("outcome", "statements", "rows", "database_ms", "bytes", "result"),
    }
    assert record["request"] == response.headers["x-request-id"]
    assert record["trace"] == trace.split("-")[1]
    assert (record["address"], record["mcp_method"]) == ("127.0.0.1", "tools/call")
    assert record["token_id"] == hashlib.sha256(claims_of(mike.token)["jti"].encode()).hexdigest()[:32]
    assert record["scopes"] == "claims:read policies:read"
    assert (record["rows"], record["bytes"]) == (len(shown), len(response.content)) == (1, len(response.content))
    text = response.json()["result"]["content"][0]["text"]
    assert record["result"] == hashlib.sha256(text.encode()).hexdigest()[:32]
    (statement,) = record["statements"]
    assert re.fullmatch("[0-9a-f]{64}", statement["digest"])
    assert 0 < record["database_ms"] <= record["ms"]
    assert record["arguments"].startswith(stack.settings.database.context_keys[0].get_secret_value().split(":")[0])


def test_equal_arguments_have_equal_digests_and_other_ones_have_others(caller, records) -> None:
    mike = caller("mike-broker-a")
    mike.answer("query_claims", limit=2, status="open")
    mike.answer("query_claims", status="open", limit=2)
    mike.answer("query_claims", status="open", limit=3)
    first, same, other = [record["arguments"] for record in records()]
    assert first == same != other


def test_a_search_is_recorded_with_its_documents(caller, records) -> None:
    answer = caller("john-regular").answer("search_policies", query="deductible for auto insurance")
    (record,) = records()
    assert (record["searches"], record["passages"]) == (1, len(answer["passages"]))
    assert set(record["documents"]) == {one["document"] for one in answer["passages"]}


@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
def test_the_method_is_recorded_when_it_is_one_of_the_protocols(caller, records, era) -> None:
    mike = caller("mike-broker-a")
    mike.post("tools/list", era=era)
    mike.post("tools/exfiltrate-a-secret", era=era)
    assert [record.get("mcp_method") for record in records()] == ["tools/list", None]
