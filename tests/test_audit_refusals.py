"""Callers that nobody authenticated: whatever they send, and however often, costs a constant space."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.audit import KEY, PUBLIC, breaks, recorded, signed_trail

from server.audit import over_budget as over_budget_module
from server.audit import refusals
from server.audit.extract import extract
from server.audit.extract_check import check_extract
from server.audit.over_budget import WRITTEN_EACH
from server.audit.refusals import MOST_KEYS, Refusals
from server.audit.trail import AuditTrail
from server.audit.usage import usage
from server.auth.access_token import AccessToken
from server.http.outcome import Decision, Outcome, refusal
from server.http.recorder import Recorder
from server.http.source import Sources, network_of
from server.settings import Settings

HEADERS = {b"host": b"mcp.example.com"}


def refused(reason: str = "no bearer token", status: int = 401) -> Outcome:
    return refusal(status, -32001, "No.", Decision("POST", refused=reason))


def scope(address: str) -> dict[str, Any]:
    return {"type": "http", "client": (address, 40_000), "request_id": "0" * 16}


@pytest.fixture
def trail(tmp_path: Path) -> Iterator[AuditTrail]:
    writer = signed_trail(tmp_path / "audit.jsonl")
    yield writer
    writer.close()


@pytest.fixture
def recorder(trail: AuditTrail) -> Recorder:
    return Recorder(Settings(), trail)


def everything(trail) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in trail.path.read_text().splitlines()]
    return [one for one in lines if one.get("event") in {None, "refused"}]


def test_a_flood_takes_a_constant_space(recorder, trail, monkeypatch) -> None:
    """R152: Ten times as many requests take not one key more."""
    monkeypatch.setattr(refusals, "INTERVAL_S", 0.0)
    sizes: list[int] = []
    for count in (2_000, 20_000):
        before = trail.path.stat().st_size
        for number in range(count):
            recorder.recorded(refused(), scope(f"10.{number % 250}.{number // 250 % 4}.7"), HEADERS, 0.0)
        recorder._flush(at_once=True)
        sizes.append(trail.path.stat().st_size - before)
    assert sizes[1] < 1.05 * sizes[0]
    assert sizes[1] < (MOST_KEYS + 1) * 1_000


def test_what_is_beyond_the_keys_is_counted_all_the_same(recorder, trail) -> None:
    for number in range(1_000):
        recorder.recorded(refused(), scope(f"10.{number // 250}.{number % 250}.7"), HEADERS, 0.0)
    recorder._flush(at_once=True)
    written = everything(trail)
    firsts = [one for one in written if "event" not in one]
    (other,) = [one for one in written if "event" in one]
    assert len(firsts) == MOST_KEYS + 1
    assert (other["refused"], other["network"], other["count"]) == ("other", "other", 1_000 - MOST_KEYS - 1)
    assert other["first"] <= other["last"]


def test_the_first_of_each_key_is_written_at_once_with_its_detail(recorder, trail) -> None:
    for number in range(5):
        recorder.recorded(refused(), scope(f"192.0.2.{number}"), HEADERS, 0.0)
    recorder.recorded(refused("expired"), scope("192.0.2.9"), HEADERS, 0.0)
    recorder.recorded(refused(), scope("2001:db8:0:ff::1"), HEADERS, 0.0)
    assert [(one["address"], one["refused"], one["status"]) for one in recorded(trail.path)] == [
        ("192.0.2.0", "no bearer token", 401),
        ("192.0.2.9", "expired", 401),
        ("2001:db8:0:ff::1", "no bearer token", 401),
    ]
    recorder._flush(at_once=True)
    (summary,) = [one for one in everything(trail) if "event" in one]
    assert (summary["refused"], summary["network"], summary["count"]) == ("no bearer token", "192.0.2.0/24", 4)


def test_a_refusal_after_a_verified_signature_stays_a_record_of_its_own(recorder, trail) -> None:
    for _ in range(3):
        signed = refusal(401, -32001, "No.", Decision("POST", "https://issuer.example.com", refused="expired"))
        recorder.recorded(signed, scope("192.0.2.1"), HEADERS, 0.0)
        recorder.recorded(
            Outcome(403, b"{}", (), Decision("POST", "https://issuer.example.com", "me")), scope("192.0.2.1"), {}, 0.0
        )
    assert len(recorded(trail.path)) == 6


def over_budget(subject: str = "me", **known: Any) -> Outcome:
    known = {"outcome": "LimitError", "refused": "Too many calls from this person; retry in 7 s.", **known}
    return refusal(429, -32004, "No.", Decision("POST", "https://issuer.example.com", subject, "app", **known))


def test_a_flood_over_the_budget_takes_a_constant_space_and_loses_no_refusal(recorder, trail) -> None:
    """R187: Ten times as many refusals of as many persons take no more records, and the counts have them all."""
    sizes: list[int] = []
    for count in (2_000, 20_000):
        before, known = trail.path.stat().st_size, len(everything(trail))
        lines = [
            recorder.recorded(over_budget(f"person-{number % 10}"), scope("192.0.2.1"), HEADERS, 0.0)[1]
            for number in range(count)
        ]
        recorder._flush(at_once=True)
        sizes.append(trail.path.stat().st_size - before)
        written = everything(trail)[known:]
        assert sum(one.get("count", 1) for one in written) == count
        assert len(written) == 10 * (WRITTEN_EACH + 1)
        assert sum(line is not None for line in lines) == 10 * WRITTEN_EACH
    assert sizes[1] < 1.1 * sizes[0]
    assert not breaks(trail.path)


def test_a_count_over_the_budget_names_person_tenant_tool_and_reason(recorder, trail) -> None:
    for tool in ("query_claims", "query_claims", "whoami"):
        for _ in range(WRITTEN_EACH):
            refused = over_budget(tenant="acme", tier="regular", tool=tool, evidence=lambda: {"database_ms": 1.5})
            recorder.recorded(refused, scope("192.0.2.1"), HEADERS, 0.0)
    recorder._flush(at_once=True)
    counts = [one for one in everything(trail) if "event" in one]
    assert [(one["tool"], one["count"]) for one in counts] == [("query_claims", 5), ("whoami", 5)]
    kept = ("issuer", "subject", "client", "tenant", "tier", "outcome", "status", "address", "database_ms")
    assert [counts[0][name] for name in kept] == [
        *("https://issuer.example.com", "me", "app", "acme", "regular", "LimitError", 429, "192.0.2.1", 7.5)
    ]
    assert counts[0]["refused"].startswith("Too many calls from this person")
    assert counts[0]["first"] <= counts[0]["last"]
    (used,) = usage(everything(trail))
    length = len(over_budget().body)
    assert (used.tenant, used.calls, used.failed, used.bytes) == ("acme", 0, 3 * WRITTEN_EACH, 15 * length)
    assert used.database_ms == 15 * 1.5


def test_the_counts_over_the_budget_are_in_the_tenants_own_extract(recorder, trail) -> None:
    for number in range(100):
        recorder.recorded(over_budget(tenant=f"tenant-{number % 2}"), scope("192.0.2.1"), HEADERS, 0.0)
    recorder._flush(at_once=True)
    trail._seal()
    lines = list(extract(trail.path, KEY, "tenant-1"))
    assert check_extract(lines, PUBLIC).records == WRITTEN_EACH // 2 + 1
    shown = [json.loads(one["line"]) for line in lines for one in json.loads(line).get("records", ())]
    assert sum(one.get("count", 1) for one in shown) == 50


def test_over_a_budget_nothing_is_said_while_the_trail_cannot_be_written(recorder, trail, monkeypatch) -> None:
    for _ in range(WRITTEN_EACH):
        recorder.recorded(over_budget(), scope("192.0.2.1"), HEADERS, 0.0)
    monkeypatch.setattr(trail, "problem", "No space left on device")
    answer, line = recorder.recorded(over_budget(), scope("192.0.2.1"), HEADERS, 0.0)
    assert (answer.status, line) == (503, None)


def test_persons_beyond_those_that_are_counted_have_records_of_their_own(recorder, trail, monkeypatch) -> None:
    monkeypatch.setattr(over_budget_module, "MOST_PERSONS", 1)
    for number in range(40):
        recorder.recorded(over_budget(f"person-{number % 2}"), scope("192.0.2.1"), HEADERS, 0.0)
    recorder._flush(at_once=True)
    assert len(everything(trail)) == WRITTEN_EACH + 1 + 20


def test_an_issuer_that_is_away_is_named_by_nobody_that_is_verified(recorder, trail) -> None:
    for _ in range(3):
        away = refusal(503, -32005, "No.", Decision("POST", "https://issuer.example.com", refused="away"))
        recorder.recorded(away, scope("192.0.2.1"), HEADERS, 0.0)
    assert len(recorded(trail.path)) == 1


def test_what_cannot_be_written_is_refused_and_counted_later(recorder, trail) -> None:
    trail.path.unlink()
    answer, line = recorder.recorded(refused(), scope("192.0.2.1"), HEADERS, 0.0)
    assert (answer.status, line) == (503, None)
    answer, _ = recorder.recorded(refused(), scope("192.0.2.1"), HEADERS, 0.0)
    assert answer.status == 401
    assert len(recorded(trail.path)) == 1


def test_counting_a_refusal_costs_little_compared_with_a_record() -> None:
    """CPU time, and with room: a flood must not cost what a record costs."""
    counts = Refusals()
    began = time.thread_time()
    for _ in range(10_000):
        counts.is_first("no bearer token", str(network_of("192.0.2.1")))
    assert (time.thread_time() - began) / 10_000 < 50e-6


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("::ffff:10.0.0.1", "192.0.2.7", "192.0.2.7"),
        ("10.0.0.1", "198.51.100.1, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "192.0.2.7:80", "192.0.2.7"),
        ("10.0.0.1", "192.0.2.7, unknown", "10.0.0.1"),
        ("203.0.113.5", "192.0.2.7", "203.0.113.5"),
    ],
)
def test_only_a_trusted_proxy_says_where_a_request_comes_from(peer, forwarded, address) -> None:
    trusted = Settings.model_validate({"trusted_proxies": ["10.0.0.0/8"]}).trusted_proxies
    headers = {b"x-forwarded-for": forwarded.encode()} if forwarded else {}
    assert Sources(trusted).address(scope(peer), headers) == address
    assert Sources(()).address(scope(peer), headers) == peer


def test_a_decision_without_a_signature_names_no_person() -> None:
    token = AccessToken("https://issuer.example.com", "me", None, frozenset(), 0, {})
    assert Outcome(200, b"", (), Decision.of(token)).is_authenticated
    assert not Outcome(204, b"", (), Decision("OPTIONS")).is_authenticated
