"""Numbers, days, moments and texts at the edges: each is read exactly, or refused with its name and reason (R182)."""

import json
from datetime import date, datetime
from decimal import Decimal

import pytest

from server.catalog import schema
from server.catalog.schema import Argument, ArgumentSchema
from server.errors import ArgumentsError

KINDS = {
    "decimal": schema.decimal(),
    "cents": schema.decimal(0, 99_999_999.99, 2),
    "integer": schema.integer(),
    "date": schema.day(),
    "timestamp": schema.timestamp(),
    "text": schema.text(20),
}
ARGUMENTS = ArgumentSchema("Everything.", [Argument(name, kind, name) for name, kind in KINDS.items()])
DIGITS = "must have at most 100 digits before and after the point"

REFUSED = [
    *(("decimal", text, DIGITS) for text in ("0E-20000", "0E20000", "-0E-101", "1E100", "1E-101", "1" * 101)),
    *(("decimal", text, DIGITS) for text in ("1E99999999", "1E-99999999", "0E-999999999", "0." + "0" * 200)),
    *(("decimal", text, "finite") for text in ("NaN", "sNaN", "-NaN12", "Infinity", "-inf")),
    *(("decimal", text, "valid") for text in ("1E99999999999999999999", "0x10", "1,5", "1\0", "--1", "²")),
    ("cents", "0E-20000", DIGITS),
    ("cents", "1e400", "less than or equal to 99999999.99"),
    ("cents", "1e-400", "no more than 2 decimal places"),
    ("integer", 10**400, "less than or equal to"),
    ("integer", -(2**63) - 1, "greater than or equal to"),
    ("integer", 1e19, "valid integer"),
    ("integer", "1", "valid integer"),
    *(("date", text, "YYYY-MM-DD") for text in ("10000-01-01", "-0001-01-01", "2026-1-1", "86400", "1767225600")),
    *(("date", text, "YYYY-MM-DD") for text in ("today", "infinity", "2026-01-01T00:00", "٢٠٢٦-01-01", " 2026-01-01")),
    *(("date", text, "YYYY-MM-DD") for text in ("2026-01-01\0", "2026-01-01\n", 20_260_101, 1e300, True, [])),
    *(("date", text, "YYYY-MM-DD: ") for text in ("0000-01-01", "2026-13-01", "2026-00-01", "2025-02-29")),
    *(("timestamp", text, "such as 2026-03-01T09:30:00Z") for text in ("1767225600", 1767225600, "2026-01-01", "now")),
    *(("timestamp", f"2026-01-01T00:00:00{end}", "such as") for end in ("+1", "\0", " UTC", "Zulu")),
    ("timestamp", "2026-01-01T00:00:00", "end it with its offset from UTC"),
    *(("timestamp", f"{text}Z", "a valid datetime: ") for text in ("0000-01-01T00:00:00", "2026-13-01T00:00:00")),
    *(("timestamp", f"2026-01-01T{text}Z", "a valid datetime: ") for text in ("24:00:00", "23:60:00", "23:59:60")),
    *(("timestamp", f"2026-01-01T00:00{offset}", "at most 15:59 hours") for offset in ("+16:00", "-23:59")),
    *(("text", text, "must not contain control characters") for text in ("\0", "a\0b", "\x1b[2J", "\u202e")),
]


@pytest.mark.parametrize(("name", "value", "said"), REFUSED)
def test_a_value_at_the_edge_is_refused_with_its_reason(name: str, value, said: str) -> None:
    with pytest.raises(ArgumentsError) as refused:
        ARGUMENTS.parse({name: value})
    text = str(refused.value)
    assert text.startswith(f"The arguments were refused and nothing was read: {name}: ")
    assert said in text
    assert len(text) < 400


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("decimal", "-0", Decimal(0)),
        ("decimal", -0.0, Decimal(0)),
        ("decimal", "1E99", Decimal(10) ** 99),
        ("decimal", "1E-100", Decimal("1E-100")),
        ("decimal", 1e-300, None),
        ("cents", "0.00000", Decimal(0)),
        ("integer", -0.0, 0),
        ("integer", 2**63 - 1, 2**63 - 1),
        ("date", "0001-01-01", date.min),
        ("date", "9999-12-31", date.max),
        ("timestamp", "0001-01-01T00:00:00+15:59", datetime.fromisoformat("0001-01-01T00:00:00+15:59")),
        (
            "timestamp",
            "9999-12-31t23:59:59.999999999-12:00",
            datetime.fromisoformat("9999-12-31T23:59:59.999999-12:00"),
        ),
        ("timestamp", "2026-01-01 10:00+0530", datetime.fromisoformat("2026-01-01T10:00:00+05:30")),
        ("text", "😀", "😀"),
    ],
)
def test_what_is_a_value_is_read_exactly(name: str, value, read) -> None:
    if read is None:
        with pytest.raises(ArgumentsError, match="100 digits"):
            ARGUMENTS.parse({name: value})
    else:
        assert ARGUMENTS.parse({name: value})[name] == read


@pytest.mark.parametrize("tool", ["query_claims", "summarize_claims"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("min_amount", value) for value in ("0E-20000", "0E20000", "1e400", "NaN", "-1E-99999", 1e300)),
        *(("filed_from", value) for value in ("0000-01-01", "10000-01-01", "2026-13-01", "86400", "\0")),
        *(("customer_name", value) for value in ("\0", "x" * 201)),
    ],
)
def test_a_tool_names_the_argument_and_reads_nothing(caller, tool: str, name: str, value) -> None:
    result = caller("mike-broker-a").call(tool, **{name: value})
    assert result["isError"]
    assert result["content"][0]["text"].startswith(f"The arguments were refused and nothing was read: {name}: ")


@pytest.mark.parametrize(
    "value", ["1e400", "-1e400", "1" + "0" * 400, '"\\ud800"', "NaN", "1" + "0" * 5000, '"\\u0000"']
)
@pytest.mark.parametrize("name", ["limit", "min_amount", "filed_from", "customer_name"])
def test_half_of_a_surrogate_pair_is_an_error_of_the_caller(caller, name: str, value: str) -> None:
    mike = caller("mike-broker-a")
    params = {"name": "query_claims", "arguments": {name: "@"}}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).replace('"@"', value)
    headers = {
        "authorization": f"Bearer {mike.token}",
        "content-type": "application/json",
        "accept": "application/json",
    }
    answer = mike.http.post(mike.stack.addresses.mcp_url, content=body, headers=headers)
    assert answer.status_code in {200, 400}
    message = answer.json()
    text = message["error"]["message"] if "error" in message else message["result"]["content"][0]["text"]
    assert "error" in message or message["result"]["isError"]
    assert "Internal error" not in text
    assert "not JSON" in text or f"{name}: " in text
