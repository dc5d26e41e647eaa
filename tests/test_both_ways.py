"""A tools/call of any shape is accepted or refused alike, whether the server answers it itself or the SDK does."""

import json
import random
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from conftest import ACCEPT, MODERN
from support.gate import MODERN_META

ABSENT: Any = ...
VALUES: list[Any] = [
    *(ABSENT, None, True, False, 0, 1, -1, 1.0, 1.5, 2**53, 10**30, "", "x", "whoami", "2025-11-25", MODERN),
    *(
        [],
        ["x"],
        [1],
        [{}],
        {},
        {"x": 1},
        {"x": {}},
        {"x": None},
        {"ttl": 1},
        {"ttl": 1.5},
        {"ttl": "x"},
        {"ttl": None},
    ),
    *({"name": "x", "version": "1"}, {"name": 1}, {"elicitation": {}}, {"elicitation": 1}, {"extensions": {"a": {}}}),
    *({"x": {"action": "accept"}}, {"x": {"action": "accept", "content": {"a": [1]}}}, {"x": {"roots": []}}),
]
PREFIX = "io.modelcontextprotocol/"
META = (
    *("progressToken", "progress_token", "x", "traceparent", "example.com/x"),
    *(
        f"{PREFIX}{name}"
        for name in ("protocolVersion", "clientCapabilities", "clientInfo", "logLevel", "related-task")
    ),
)
PARAMS = (
    *("name", "arguments", "_meta", "meta", "task", "requestState", "request_state", "inputResponses"),
    *("input_responses", "cursor", "x"),
)
ENVELOPE = ("jsonrpc", "id", "method", "params", "x", "result", "error")
PLACES = [
    *((name, "envelope") for name in ENVELOPE),
    *((name, "params") for name in PARAMS),
    *((name, "meta") for name in META),
]


def changed(era: str, *changes: tuple[str, str, Any]) -> bytes:
    """Return a right call but for what is put into its places."""
    meta: dict[str, Any] = dict(MODERN_META) if era == MODERN else {}
    params: dict[str, Any] = {"name": "whoami", "arguments": {}, "_meta": meta}
    envelope: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    for name, place, value in changes:
        {"envelope": envelope, "params": params, "meta": meta}[place][name] = value
    kept = without_absent(envelope)
    return json.dumps(kept).encode()


def without_absent(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_absent(inner) for name, inner in value.items() if inner is not ABSENT}
    return value


def bodies(era: str) -> Iterator[bytes]:
    """Each place with each value, and some pairs of places."""
    chance = random.Random(era)
    singles = [(name, place, value) for name, place in PLACES for value in VALUES]
    yield from (changed(era, one) for one in singles)
    yield from (changed(era, *chance.sample(singles, 2)) for _ in range(300))


def said(answer: httpx2.Response) -> tuple[int, Any]:
    """Return the status, and what was answered; of an error its code, since each way has its own words for it."""
    if not answer.content:
        return answer.status_code, None
    body = answer.json()
    return answer.status_code, body["error"]["code"] if "error" in body else body


@pytest.mark.parametrize("era", ["2025-11-25", MODERN])
def test_r134_the_fast_path_and_the_sdk_accept_and_refuse_the_same_calls(caller, era: str) -> None:
    """R134: a call with a header that is sent twice goes the SDK's way; this header means nothing."""
    mike = caller("mike-broker-a")
    headers = [
        ("authorization", f"Bearer {mike.token}"),
        ("accept", ACCEPT),
        ("content-type", "application/json"),
        ("mcp-protocol-version", era),
        *([("mcp-method", "tools/call"), ("mcp-name", "whoami")] if era == MODERN else []),
    ]
    differences: list[str] = []
    for body in bodies(era):
        one, other = (
            said(mike.http.post(mike.stack.addresses.mcp_url, content=body, headers=[*headers, *more]))
            for more in ([], [("x-a", "1"), ("x-a", "2")])
        )
        if one != other or one[0] >= 500 or one[1] == -32603:
            differences.append(f"{body.decode()}\n  itself:  {one}\n  the SDK: {other}")
    assert not differences, f"{len(differences)}\n" + "\n".join(differences[:40])


METHODS = {
    "initialize": ("protocolVersion", "capabilities", "clientInfo"),
    "ping": (),
    "tools/list": ("cursor",),
    "prompts/list": ("cursor",),
    "prompts/get": ("name", "arguments"),
    "resources/list": ("cursor",),
    "resources/read": ("uri",),
    "completion/complete": ("ref", "argument", "context"),
    "logging/setLevel": ("level",),
    "server/discover": (),
    "subscriptions/listen": ("notifications",),
    "notifications/progress": ("progressToken", "progress"),
    "x/y": ("x",),
}


@pytest.mark.parametrize("era", ["2025-11-25", "2099-01-01", MODERN])
def test_r134_no_shape_of_any_method_is_an_error_of_ours(caller, era: str) -> None:
    """R134, R102."""
    mike = caller("mike-broker-a")
    failed: list[str] = []
    for method, names in METHODS.items():
        identified = {} if method.startswith("notifications/") else {"id": 1}
        for name in ("_meta", *META[:1], META[5], *names):
            for value in VALUES[::3]:
                meta: dict[str, Any] = dict(MODERN_META) if era == MODERN else {}
                params: dict[str, Any] = {"_meta": meta}
                (meta if name in META else params)[name] = value
                body = {"jsonrpc": "2.0", "method": method, "params": without_absent(params)} | identified
                headers = {"accept": ACCEPT, "authorization": f"Bearer {mike.token}", "mcp-protocol-version": era}
                if era == MODERN:
                    headers |= {"mcp-method": method}
                status, came_to = said(mike.http.post(mike.stack.addresses.mcp_url, json=body, headers=headers))
                if status >= 500 or came_to == -32603:
                    failed.append(f"{status} {came_to} {body}")
    assert not failed, f"{len(failed)}\n" + "\n".join(failed[:40])
