"""What the running server puts into its audit trail, before anything leaves it."""

import json
import resource

import pytest

from server.audit.trail import verify


@pytest.fixture
def records(stack):
    """Return a function to what was recorded since the fixture was made."""
    path = stack.settings.audit.path
    before = len(path.read_text().splitlines())

    def since():
        return [json.loads(line) for line in path.read_text().splitlines()[before:]]

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


def test_r106_what_cannot_be_recorded_is_not_released(caller, stack) -> None:
    """R106."""
    mike = caller("mike-broker-a")
    mike.answer("query_claims")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (stack.settings.audit.path.stat().st_size, limits[1]))
    try:
        response = mike.post("tools/call", {"name": "query_claims", "arguments": {}})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "5"
    assert "cannot record this access" in response.json()["error"]["message"]
    assert "CLM-" not in response.text
    assert mike.answer("query_claims")["claims"]
    assert verify(stack.settings.audit.path)[1] is None
