"""How long one request can hold the event loop, in which nobody else is answered: the worst inputs of each kind.

Measured as the processor time of the server's thread, so that a busy machine changes little.
"""

import gc
import json
import re
import time
from collections.abc import Callable, Generator
from typing import Any

import httpx2
import pytest
from conftest import ACCEPT, MODERN
from support.gate import MODERN_META
from support.server_of_its_own import OwnServer, server_of_its_own

from server.dev.stack import Stack
from server.http.bounds import MAXIMUM_COMMAS, MAXIMUM_CONTAINERS

MOST_MS = 20.0
Params = dict[str, Any]


def many(count: int, make: Callable[[int], Any]) -> list[Any]:
    return [make(number) for number in range(count)]


def nested(depth: int, inner: Any = None) -> Any:
    for _ in range(depth):
        inner = [] if inner is None else [inner]
    return inner


def named(count: int, length: int, value: Any = 1) -> Params:
    """Return so many members with long names."""
    return {f"{number:05d}".ljust(length, "x"): value for number in range(count)}


# Each one as a value that stands in the arguments, in `_meta`, or in another method's params.
VALUES: dict[str, Any] = {
    "27,000 unknown names": named(27_000, 6),
    "unknown names, just inside": named(2_000, 24),
    "one long unknown name": {"x" * 60_000: 1},
    "names of quotation marks": named(400, 6) | {'"' * 20_000: 1},
    "lists nested 180 deep, repeated": many(160, lambda _: nested(180)),
    "lists nested 180 deep, just inside": [nested(180), nested(180), nested(140)],
    "objects nested 180 deep": json.loads('{"a":' * 180 + "1" + "}" * 180),
    "a list of []": many(15_000, lambda _: []),
    "a list of [], just inside": many(500, lambda _: []),
    "a list of {}": many(15_000, lambda _: {}),
    "a list of {}, just inside": many(500, lambda _: {}),
    "a list of floats": many(9_000, lambda one: one + 0.5),
    "a list of floats, just inside": many(2_000, lambda one: one + 1.2345678901234567),
    "huge integers": many(14, lambda one: 10**4_299 + one),
    "a long text": "x" * 60_000,
    "a long text of escapes": "\u00e9" * 10_000,
    "a long text of quotation marks": '"' * 30_000,
    "many texts": many(2_000, lambda one: f"{one:025d}"),
    "null": None,
}
TEXTS: dict[str, str] = {
    "integers that are too huge": "[" + ",".join(["9" * 6_000] * 10) + "]",
    "floats without end": "[" + ",".join(["0." + "9" * 6_000] * 10) + "]",
    "exponents": "[" + ",".join(["1e" + "9" * 28] * 2_000) + "]",
    "one name again and again": "{" + ",".join(['"limit":' + "9" * 20] * 2_000) + "}",
    "deep, and never closed": "[" * 60_000,
    "blanks": " " * 60_000 + "1",
}


def calls(value: str) -> dict[str, tuple[str, str]]:
    """Return for each place in which `value` may stand: the method, and the params as JSON text."""
    info = '{"name": "x", "version": "1"}'
    begun = '{"protocolVersion": "2025-11-25", "capabilities": {}'
    answers = f'{{"name": "whoami", "arguments": {{}}, "inputResponses": {value}}}'
    return {
        "arguments": ("tools/call", f'{{"name": "query_claims", "arguments": {value}}}'),
        "one argument": ("tools/call", f'{{"name": "query_claims", "arguments": {{"customer_name": {value}}}}}'),
        "_meta": ("tools/call", f'{{"name": "whoami", "arguments": {{}}, "_meta": {{"a": {value}}}}}'),
        "the tool's name": ("tools/call", f'{{"name": {value}, "arguments": {{}}}}'),
        "inputResponses": ("tools/call", answers),
        "tools/list": ("tools/list", f'{{"cursor": {value}, "a": {value}}}'),
        "prompts/get": ("prompts/get", f'{{"name": "coverage_question", "arguments": {value}}}'),
        "a prompt's argument": ("prompts/get", f'{{"name": "coverage_question", "arguments": {{"topic": {value}}}}}'),
        "a prompt's name": ("prompts/get", f'{{"name": {value}}}'),
        "resources/read": ("resources/read", f'{{"uri": {value}}}'),
        "completion/complete": (
            "completion/complete",
            f'{{"ref": {{"type": "ref/prompt", "name": {value}}}, "argument": {value}}}',
        ),
        "initialize": (
            "initialize",
            f'{{"protocolVersion": {value}, "capabilities": {{"experimental": {value}}}, "clientInfo": {info}}}',
        ),
        "icons": ("initialize", f'{begun}, "clientInfo": {{"name": "x", "version": "1", "icons": {value}}}}}'),
        "ping": ("ping", value),
        "an unknown method": ("x/y", value),
        "a notification": ("notifications/progress", value),
    }


@pytest.fixture(scope="module")
def server(stack: Stack) -> Generator[OwnServer]:
    with server_of_its_own(stack) as server:
        yield server


def sent(method: str, params: str, era: str) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body; in the later protocol with what it wants in `_meta` and in the headers."""
    headers = {"accept": ACCEPT, "content-type": "application/json", "mcp-protocol-version": era}
    if era == MODERN:
        headers |= {"mcp-method": method}
        if name := re.search(r'"(?:name|uri)": "([ -!#-~]{1,99})"', params):
            headers["mcp-name"] = name[1]
        meta = json.dumps(MODERN_META)
        if '"_meta": {' in params:
            params = params.replace('"_meta": {', f'"_meta": {meta[:-1]}, ', 1)
        elif params.startswith("{"):
            params = f'{{"_meta": {meta}' + (params[1:] if params == "{}" else f", {params[1:]}")
    message = f'"method": "{method}", "params": {params}'
    identified = "" if method.startswith("notifications/") else '"id": 1, '
    return headers, f'{{"jsonrpc": "2.0", {identified}{message}}}'.encode()


def held_ms(
    server: OwnServer, http: httpx2.Client, headers: dict[str, str], body: bytes
) -> tuple[float, httpx2.Response]:
    """Return the processor time of the server's thread for one request, and the answer; the least of five tries."""
    clock = time.pthread_getcpuclockid(server.thread)
    headers = headers | {"authorization": f"Bearer {server.token}"}
    for left in reversed(range(5)):
        begun = time.clock_gettime(clock)
        answer = http.post(f"{server.url}/mcp", content=body, headers=headers)
        held = (time.clock_gettime(clock) - begun) * 1_000
        if held < MOST_MS or not left:
            return held, answer
    raise AssertionError


CASES = {name: json.dumps(value) for name, value in VALUES.items()} | TEXTS


@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
@pytest.mark.parametrize("case", list(CASES))
def test_r133_no_request_holds_the_event_loop_for_20_ms(server: OwnServer, http, case: str, era: str) -> None:
    """R133: 300 ms and more without the bounds; and no answer of failure is longer than 4 KiB."""
    for place, (method, params) in calls(CASES[case]).items():
        held, answer = held_ms(server, http, *sent(method, params, era))
        assert held < MOST_MS, place
        assert answer.status_code < 500
        if answer.status_code != 202 and ("error" in (told := answer.json()) or told["result"].get("isError")):
            assert len(answer.content) <= 4_096, (place, answer.text[:300])


def test_r133_a_body_just_outside_the_bounds_is_refused_before_it_is_parsed(server: OwnServer, http) -> None:
    """R133."""
    for kind, most, inside in (("[", MAXIMUM_CONTAINERS, 3), ("{", MAXIMUM_CONTAINERS, 3), (",", MAXIMUM_COMMAS, 4)):
        for extra, status in ((0, 200), (1, 400)):
            text = json.dumps(kind * (most - inside + extra))
            headers, body = sent(
                "tools/call", f'{{"name": "query_claims", "arguments": {{"claim_number": {text}}}}}', "2025-11-25"
            )
            answer = held_ms(server, http, headers, body)[1]
            assert answer.status_code == status, (kind, answer.text)
            assert (status == 200) or "counted in texts too" in answer.json()["error"]["message"]


def test_r133_what_the_start_left_behind_is_in_no_collection(server: OwnServer) -> None:
    """R133: a full collection of a started server takes 70 ms, and any body with many lists sets one off."""
    assert gc.get_freeze_count() > 100_000
    gc.collect()
    begun = time.thread_time()
    gc.collect()
    assert (time.thread_time() - begun) * 1_000 < MOST_MS
