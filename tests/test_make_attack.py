"""What of `make attack` needs no tool of its own: forged tokens and mutated requests, each with its seeded hole."""

import dataclasses
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from attack import mutations, tokens
from attack.outcome import Attack, Result, Row, carried_out, show
from attack.target import Target, attacked
from rich.console import Console
from support.gate import Served
from support.server_of_its_own import server_of_its_own

from server.audit.over_budget import WRITTEN_EACH
from server.dev.stack import Stack
from server.settings import AuditSettings, LimitsSettings

COUNT = 2_000


@pytest.fixture
def target(
    stack: Stack, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> Iterator[Target]:
    def log() -> str:
        return "".join(capfd.readouterr()) + caplog.text

    with attacked(stack, tmp_path, log) as target:
        yield target


def test_no_forged_token_is_accepted_and_no_key_is_fetched_that_a_token_names(served: Served) -> None:
    """R36 to R42, R57, R58, R185."""
    result = tokens.forged(served, with_tool=False)
    assert result.found == ()
    assert result.sent > 340


def test_a_careless_verifier_accepts_a_forgery_of_each_kind(served: Served) -> None:
    result = tokens.let_in(served, with_tool=False)
    assert result.missed == ()
    assert len(result.found) == 11


def test_mutated_requests_are_decided_and_leave_the_server_and_its_trail_whole(target: Target) -> None:
    """R186."""
    result = mutations.attack(target, count=COUNT)
    assert result.found == ()
    assert result.sent == COUNT + COUNT // 10


def test_mutations_find_a_planted_crash_and_a_planted_leak() -> None:
    assert mutations.control(None, count=COUNT).missed == ()


def test_trouble_in_the_log_or_the_trail_is_found(target: Target) -> None:
    assert target.trouble() == []
    logging.getLogger("uvicorn.error").error("Exception in ASGI application")
    assert [one for one in target.trouble() if one.startswith("in the log: ")]
    target.trail.write_bytes(target.trail.read_bytes().replace(b'"status":200', b'"status":201'))
    assert [one for one in target.trouble() if one.startswith("the audit trail: ")]


def test_a_person_who_floods_a_real_server_over_their_budget_leaves_a_few_records_and_a_count(stack, tmp_path) -> None:
    """R187."""
    trail, budget = tmp_path / "audit.jsonl", LimitsSettings(calls_per_minute_per_person=20)
    with server_of_its_own(stack, limits=budget, changed={"audit": AuditSettings(path=trail)}) as server:
        headers, body = server.request("whoami")
        with httpx2.Client(timeout=20) as http:
            statuses = [http.post(f"{server.url}/mcp", headers=headers, json=body).status_code for _ in range(120)]
    assert statuses == [200] * 20 + [429] * 100
    records = [one for one in map(json.loads, trail.read_text().splitlines()) if one.get("status") == 429]
    counts = [one["count"] for one in records if "event" in one]
    assert sum(counts) + len(records) - len(counts) == 100
    # Ten seconds may pass in between, and on a busy machine more than once.
    assert len(records) - len(counts) <= WRITTEN_EACH * max(1, len(counts))
    assert all(one["subject"] for one in records)


SILENT, LOUD = Result(7), Result(7, ("a hole",))
ATTACK = Attack("one", "requests", str, lambda _target: SILENT, lambda _target: LOUD)


@pytest.mark.parametrize(
    ("result", "control", "passed"),
    [
        (SILENT, LOUD, True),
        (LOUD, LOUD, False),
        (SILENT, SILENT, False),
        (Result(0), LOUD, False),
        (SILENT, Result(7, ("a hole",), ("another",)), False),
        (None, None, False),
    ],
    ids=["found nothing", "found something", "silent tool", "sent nothing", "a hole was missed", "not run"],
)
def test_an_attack_passes_when_it_found_nothing_and_its_control_everything(result, control, passed) -> None:
    assert Row(ATTACK, "", result, control).is_passed == passed


def test_a_missing_tool_is_printed_as_not_run_with_the_remedy(tmp_path: Path) -> None:
    nobody: Any = None
    row = carried_out(dataclasses.replace(ATTACK, missing=lambda: "a tool (make attack-tools)"), nobody)
    with (tmp_path / "out").open("w+") as out:
        show([row, Row(ATTACK, "", SILENT, SILENT, 1.2)], Console(file=out, width=140))
        out.seek(0)
        printed = out.read()
    assert "not run: install a tool (make attack-tools)" in printed
    assert "the control of one found nothing: the tool is silent" in printed
