"""What the two claims tools answer, beyond what the differential test compares."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from support.server_of_its_own import server_of_its_own


@pytest.mark.parametrize(
    ("person", "count", "amount"), [("mike-broker-a", 2, "10550.50"), ("emma-broker-b", 1, "15300.00")]
)
def test_how_many_claims_were_filed_last_week_and_for_how_much_takes_one_call(caller, person, count, amount) -> None:
    answer = caller(person).answer("summarize_claims", period="last_week")
    assert (answer["total"]["count"], answer["total"]["total_amount"]) == (count, amount)
    assert answer["filed_from"] < answer["filed_to"] < answer["as_of"]


@pytest.fixture
def tenant_of_many_weeks(admin: psycopg.Connection[Any]) -> Iterator[str]:
    admin.execute("INSERT INTO tenancy.tenants VALUES ('many-weeks', 'Many weeks')")
    admin.execute(
        "INSERT INTO app.claims (tenant_id, claim_number, customer_name, claim_amount, status, line_of_business, "
        "filed_at) SELECT 'many-weeks', 'CLM-' || n, 'Ann', 1.10, 'open', 'auto', "
        "TIMESTAMPTZ '2010-01-04 12:00Z' + n * interval '7 days' FROM generate_series(1, 502) AS n"
    )
    yield "many-weeks"
    admin.execute("DELETE FROM app.claims WHERE tenant_id = 'many-weeks'")
    admin.execute("DELETE FROM tenancy.tenants WHERE tenant_id = 'many-weeks'")


def test_a_summary_of_too_many_groups_says_so_and_still_totals_all(caller, tenant_of_many_weeks) -> None:
    """R92."""
    ann = caller("nora-no-tier", **{"custom:tenant_id": tenant_of_many_weeks}, sub="of-many-weeks")
    answer = ann.answer("summarize_claims", group_by="week")
    assert len(answer["groups"]) == 500
    assert answer["more_groups"]
    assert (answer["total"]["count"], answer["total"]["total_amount"]) == (502, "552.20")
    assert not ann.answer("summarize_claims", group_by="week", filed_to="2015-01-01")["more_groups"]


def test_a_claim_without_an_end_of_time_does_not_hide_the_others(caller, admin, tenant_of_many_weeks) -> None:
    """PostgreSQL knows a time that is later than all others and has no text of its own."""
    admin.execute(
        "UPDATE app.claims SET filed_at = 'infinity' WHERE claim_number = 'CLM-1' AND tenant_id = 'many-weeks'"
    )
    ann = caller("nora-no-tier", **{"custom:tenant_id": tenant_of_many_weeks}, sub="of-many-weeks")
    first = ann.answer("query_claims", limit=1)
    assert first["claims"][0]["filed_at"] == "infinity"
    assert ann.answer("query_claims", limit=1, cursor=first["next_cursor"])["claims"][0]["claim_number"] == "CLM-502"
    assert ann.answer("summarize_claims", group_by="month", filed_from="2099-01-01")["groups"][0]["key"] == "infinity"


def test_a_cursor_of_last_week_does_not_serve_after_the_week_has_turned(stack) -> None:
    """R75: it is bound to the days that the period stood for, not to the word."""
    # The week in which two of the sample's claims were filed is the last one until its Monday comes round again.
    times = [datetime.now(UTC)]
    with server_of_its_own(stack, clock=lambda: times[-1]) as server:
        cursor = server.call("query_claims", period="last_week", limit=1)["structuredContent"]["next_cursor"]
        again = {"period": "last_week", "limit": 1, "cursor": cursor}
        assert len(server.call("query_claims", **again)["structuredContent"]["claims"]) == 1
        times.append(times[0] + timedelta(days=7))
        refused = server.call("query_claims", **again)
        assert refused["isError"]
        assert "cursor does not belong" in refused["content"][0]["text"]
