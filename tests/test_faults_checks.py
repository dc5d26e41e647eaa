"""The checks of `make faults` find what they look for: each is seen to fail on one seeded offence."""

import json

import pytest
from faults import checks
from support.audit import PUBLIC, fill, signed_trail
from support.callers import Answer, Call, Lost

DOWN = "The database is not available; nothing was read. Retry in a few seconds."


def answered(who: str, tool: str, body: object, status: int = 200, request: str = "r1", **arguments: object) -> Answer:
    return Answer(Call(tool, arguments, "token", who), status, request, json.dumps(body).encode(), 10.0, 0.1)


def claims(*numbers: str) -> object:
    return {"result": {"structuredContent": {"claims": [{"claim_number": number} for number in numbers]}}}


def failed(text: str) -> Answer:
    body = json.dumps({"result": {"content": [{"type": "text", "text": text}], "isError": True}}, separators=(",", ":"))
    return Answer(Call("query_claims", {}, "", "broker-a"), 200, "r1", body.encode(), 10.0, 0.1)


def test_a_foreign_row_a_missing_one_and_none_are_found() -> None:
    own = claims("CLM-B-001", "CLM-B-002")
    assert checks.foreign_rows([answered("broker-b", "query_claims", own)]) == []
    for wrong in (claims("CLM-B-001", "CLM-B-002", "CLM-A-001"), claims("CLM-B-001"), claims()):
        assert len(checks.foreign_rows([answered("broker-b", "query_claims", wrong)])) == 1
    narrowed = answered("broker-b", "query_claims", own, customer_name="x")
    assert len(checks.foreign_rows([narrowed])) == 1


def test_a_passage_of_another_tier_is_found() -> None:
    own, both = {"result": {"text": "regular"}}, {"result": {"text": "regular platinum"}}
    assert checks.foreign_rows([answered("broker-a/regular", "search_policies", own)]) == []
    assert len(checks.foreign_rows([answered("broker-a/regular", "search_policies", both)])) == 1
    assert len(checks.foreign_rows([answered("broker-a/platinum", "search_policies", own)])) == 1


@pytest.mark.parametrize(
    ("status", "message", "is_documented"),
    [
        (503, "The identity provider's keys cannot be reached; retry in a few seconds.", True),
        (429, "Too many calls from this person; retry in 3 s.", True),
        (503, "Something else.", False),
        (500, "Internal error; it was logged. Retry once; if it fails again, tell your administrator.", False),
        (401, "The access token was refused.", False),
    ],
)
def test_an_answer_that_no_document_has_is_found(status, message, is_documented) -> None:
    refused = answered("broker-a", "query_claims", {"error": {"message": message}}, status)
    assert (checks.undocumented([refused]) == []) is is_documented
    assert checks.undocumented([failed(DOWN)]) == []
    assert len(checks.undocumented([failed("relation app.claims does not exist")])) == 1


def test_a_record_that_was_dropped_and_a_trail_that_was_cut_are_found(tmp_path) -> None:
    path = tmp_path / "audit.jsonl"
    trail = signed_trail(path)
    trail.append({"request": "r1"})
    fill(trail, 3)
    trail.close()
    answers = [answered("broker-a", "query_claims", claims(), request=name) for name in ("r1", "r2")]
    assert checks.unrecorded(answers, path) == ["r2 is not in the trail"]
    assert checks.broken(path, PUBLIC) == []
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2] + lines[3:]))
    assert len(checks.broken(path, PUBLIC)) == 1


def test_refusals_that_are_counted_are_compared_with_their_number(tmp_path) -> None:
    text = "The identity provider's keys cannot be reached; retry in a few seconds."
    path = tmp_path / "audit.jsonl"
    trail = signed_trail(path)
    trail.append({"request": "r0", "refused": text})
    trail.append({"event": "refused", "refused": text, "count": 2})
    trail.close()
    answers = [answered("broker-a", "query_claims", {"error": {"message": text}}, 503)] * 3
    assert checks.unrecorded(answers, path) == checks.uncounted(answers, path) == []
    assert checks.uncounted(answers[:2], path) == ["2 were answered, and the trail has 3"]


def test_a_recovery_that_takes_too_long_is_found() -> None:
    lost = Lost(Call("query_claims", {}, ""), "EOFError", 16.5, was_new=True)
    assert checks.late([failed(DOWN)], [], 9.0, 5.0) == (1.0, [])
    took_s, offences = checks.late([failed(DOWN)], [lost], 9.0, 5.0)
    assert (took_s, len(offences)) == (7.5, 1)
    assert checks.late([], [], 9.0, 5.0) == (0.0, [])


def test_a_planted_secret_is_found_and_not_repeated() -> None:
    canaries = {"a password": "pw-1234", "a question": "what-5678"}
    assert list(checks.found(canaries, [("log", b"nothing")])) == []
    assert list(checks.found(canaries, [("log", b"x pw-1234 y"), ("trail", b"")])) == ["a password stands in log"]
