"""Valid tokens, headers and bodies, changed at random: only what was left untouched gets through, nothing breaks."""

import json
from collections.abc import Callable

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from support.gate import Served, request_bytes

# Each one a decision of ours; 5xx is none.
DECIDED = {200, 202, 400, 401, 403, 404, 405, 406, 408, 413, 415, 421}
PROFILE = settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)
CLAIMS = ["iss", "sub", "aud", "exp", "iat", "nbf", "scope", "scp", "tenant_id", "client_id", "cnf", "token_use", "x"]
HEADERS = ["alg", "kid", "typ", "crit", "jku", "jwk", "x5c", "x5u", "b64", "zip", "cty", "enc", "x"]


@st.composite
def changes(draw: st.DrawFn, least: int = 1) -> Callable[[bytes], bytes]:
    """Return a function that changes some bytes of a message: replaced, removed, inserted, repeated, or cut off."""
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["replace", "remove", "insert", "repeat", "cut"]),
                st.floats(0, 1, exclude_max=True),
                st.binary(min_size=1, max_size=4),
            ),
            min_size=least,
            max_size=3,
        )
    )

    def change(message: bytes) -> bytes:
        for kind, place, data in steps:
            at = int(place * len(message))
            match kind:
                case "replace":
                    message = message[:at] + data + message[at + len(data) :]
                case "remove":
                    message = message[:at] + message[at + len(data) :]
                case "insert":
                    message = message[:at] + data + message[at:]
                case "repeat":
                    message = message[:at] + message[at:] * 2
                case _:
                    message = message[:at]
        return message

    return change


def is_json(value: object) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def status_of(answer: bytes) -> int:
    return int(answer[9:12])


@PROFILE
@given(change=changes())
def test_a_changed_token_is_refused(served: Served, change) -> None:
    right = request_bytes(served)
    token = right.partition(b"Bearer ")[2].partition(b"\r\n")[0]
    changed = change(token)
    assume(changed.strip(b" \t") != token and not set(b"\r\n") & set(changed))
    assert status_of(served.raw(right)) == 200
    answer = served.raw(right.replace(token, changed))
    # The key that a changed key id names may be one that the issuer has not published yet.
    assert status_of(answer) in {400, 401} or (status_of(answer) == 503 and b"has not published the key" in answer)


@PROFILE
@given(name=st.sampled_from(CLAIMS), value=json_values)
def test_a_claim_of_any_value_is_decided(served: Served, name: str, value) -> None:
    token = served.strict.token(**{name: value})
    assert served.post(token).status_code in {200, 401, 403}


@PROFILE
@given(name=st.sampled_from(HEADERS), value=json_values)
def test_a_header_of_any_value_is_decided(served: Served, name: str, value) -> None:
    """Only what is ignored, or equal to the right value, leaves the token valid."""
    right = {"alg": "RS256", "kid": "first", "typ": "at+jwt"}
    token = served.strict.token_with_header({**right, name: value})
    # Infinity can be written, but is no JSON (RFC 8259 section 6): whatever holds it is no header at all.
    harmless = is_json(value) and (name == "x" or right.get(name, ...) == value)
    assert served.post(token).status_code == (200 if harmless else 401)


@PROFILE
@given(change=changes(), body=changes(0), both=st.booleans())
def test_a_changed_request_is_decided_and_the_next_one_served(served: Served, change, body, both) -> None:
    """Whatever the bytes are, the answer is a decision or the end of the connection."""
    head, _, content = request_bytes(served).partition(b"\r\n\r\n")
    answer = served.raw(change(head) + b"\r\n\r\n" + (body(content) if both else content), wait_s=0.05)
    assert answer == b"" or status_of(answer) in DECIDED
    assert served.post(served.strict.token(sub="property")).status_code == 200


@PROFILE
@given(change=changes(), era=st.sampled_from(["2025-11-25", "2026-07-28", "2024-11-05"]))
def test_a_changed_body_is_decided(served: Served, change, era: str) -> None:
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "query_claims", "arguments": {}}}
    headers = {"mcp-protocol-version": era, "mcp-method": "tools/call", "mcp-name": "query_claims"}
    response = served.send(served.strict.token(sub="property"), change(json.dumps(call).encode()), headers)
    assert response.status_code in DECIDED
    assert b"CLM-B" not in response.content


@PROFILE
@given(params=json_values, method=st.sampled_from(["tools/call", "tools/list", "initialize", "ping", "x", ""]))
def test_parameters_of_any_value_are_decided(served: Served, params, method: str) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    response = served.send(served.strict.token(sub="property"), json.dumps(body).encode())
    assert response.status_code in DECIDED
    # An error of ours would be told as -32603.
    assert response.json().get("error", {}).get("code") != -32603
