"""The sample tools answer byte for byte what they answered when `recorded_calls.json` was recorded.

A call is added as a line without an answer. After a change that is meant, either name it in `recorded_changes.json` or
run this file as a program: it records every answer anew, and the difference of the file shows the reviewer what it is.
"""

import json
import subprocess
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx2
import psycopg
import pytest
from psycopg import sql
from support.recorded_calls import ERAS, Answer, Line, answered, load, outcome, save
from support.replay import Clock, Replay
from support.server_of_its_own import OwnServer, server_of_its_own

from server.dev.stack import Stack

# The number of a call, to the outcome that it has now (all of it, in the form of the recording) and the reason.
CHANGED_KNOWINGLY: Final[Mapping[int, tuple[Line, str]]] = {
    int(number): (change["outcome"], change["reason"])
    for number, change in json.loads(Path(__file__).with_name("recorded_changes.json").read_text("utf-8")).items()
}

TENANTS: Final = sql.Identifier("tenancy", "tenants")
USER_TENANTS: Final = sql.Identifier("tenancy", "user_tenants")
CLAIMS: Final = sql.Identifier("app", "claims")
_TENANT: Final = ("tenant_id", "name", "active")
_USER_TENANT: Final = ("tenant_id", "user_sub", "issuer")
_CLAIM: Final = (
    *("tenant_id", "id", "claim_number", "customer_name", "claim_amount", "status", "line_of_business"),
    *("filed_at", "description"),
)
_SHOWN_CHARACTERS: Final = 160


@contextmanager
def server_with_clock(stack: Stack, clock: Clock) -> Generator[OwnServer]:
    """Serve with a clock of the test's own."""
    with server_of_its_own(stack, clock=clock) as server:
        yield server


@pytest.fixture(scope="module")
def recording() -> Line:
    return load()


@pytest.fixture(scope="module")
def replay(stack: Stack, http: httpx2.Client, recording: Line) -> Iterator[Replay]:
    """A server over the recorded rows, which are gone afterwards."""
    # Whoever it is: the recording says what each token holds.
    tokens = {
        name: stack.issuer.mint("omar-unmapped", **claims) if isinstance(claims, dict) else claims
        for name, claims in recording["people"].items()
    }
    clock = Clock(datetime.fromisoformat(recording["now"]))
    with psycopg.connect(stack.admin_url, autocommit=True) as admin:
        try:
            _insert(admin, TENANTS, _TENANT, recording["tenants"])
            _insert(
                admin, USER_TENANTS, _USER_TENANT, [[*one, stack.addresses.issuer] for one in recording["user_tenants"]]
            )
            _insert(admin, CLAIMS, _CLAIM, recording["claims"])
            with server_with_clock(stack, clock) as server:
                resource = stack.addresses.mcp_url.removesuffix("/mcp")
                yield Replay(f"{server.url}/mcp", http, stack.addresses.issuer, resource, tokens, clock)
        finally:
            for table in (CLAIMS, USER_TENANTS, TENANTS):
                remove = sql.SQL("DELETE FROM {} WHERE tenant_id = ANY (%s)").format(table)
                admin.execute(remove, ([one[0] for one in recording["tenants"]],))


def _insert(
    admin: psycopg.Connection[Any], table: sql.Identifier, columns: tuple[str, ...], rows: list[list[Any]]
) -> None:
    statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
        table, sql.SQL(", ").join(map(sql.Identifier, columns)), sql.SQL(", ").join([sql.Placeholder()] * len(columns))
    )
    admin.cursor().executemany(statement, rows)


def answers(replay: Replay, recording: Line) -> Iterator[tuple[Line, dict[str, Answer]]]:
    """Make every call in both protocol eras, in the order of the recording: later calls use earlier cursors."""
    now = datetime.fromisoformat(recording["now"])
    for line in recording["calls"]:
        yield line, {era: replay.answer(line, era, now) for era in ERAS}


def test_the_sample_tools_answer_byte_for_byte_what_was_recorded(replay: Replay, recording: Line, capsys) -> None:
    differences: list[str] = []
    for line, given in answers(replay, recording):
        expected, reason = CHANGED_KNOWINGLY.get(line["number"], (outcome(line), ""))
        differences += [
            _described(line, era, recorded, given[era], reason)
            for era in ERAS
            if (recorded := Answer.read(expected, era)) != given[era]
        ]
    if differences:
        # The log of all these calls would hide what follows.
        capsys.readouterr()
        pytest.fail(f"{len(differences)} answers differ\n\n" + "\n\n".join(differences), pytrace=False)


def test_every_listed_change_is_a_change_and_has_its_reason(recording: Line) -> None:
    recorded = {line["number"]: outcome(line) for line in recording["calls"]}
    assert CHANGED_KNOWINGLY.keys() <= recorded.keys()
    assert [
        number for number, (new, reason) in CHANGED_KNOWINGLY.items() if new == recorded[number] or not reason
    ] == []


def test_a_call_is_known_by_its_number(recording: Line) -> None:
    numbers = [line["number"] for line in recording["calls"]]
    assert len(set(numbers)) == len(numbers)


def _described(line: Line, era: str, expected: Answer, given: Answer, reason: str) -> str:
    """Return what was called, and for each part that differs both texts around the first difference."""
    name = f"call {line['number']}, {era}: {line['person']} {line['tool']} {line.get('arguments')!r:.300}"
    lines = [name, *([f"  (changed knowingly: {reason})"] if reason else [])]
    for part in ("status", "challenge", "body"):
        was, now = str(getattr(expected, part)), str(getattr(given, part))
        if was != now:
            same = next((n for n, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), min(len(was), len(now)))
            shown = slice(max(0, same - _SHOWN_CHARACTERS // 2), same + _SHOWN_CHARACTERS)
            lines += [
                f"  {part} from character {same}",
                f"    recorded: {was[shown]!r}",
                f"    now:      {now[shown]!r}",
            ]
    return "\n".join(lines)


def record_anew(replay: Replay, recording: Line) -> None:
    """Write down what this server answers; pytest runs it only for the command below."""
    save({**recording, "calls": [answered(line, given) for line, given in answers(replay, recording)]})


if __name__ == "__main__":
    sys.exit(subprocess.call([sys.executable, "-m", "pytest", "-q", "-o", "python_functions=record_anew", __file__]))
