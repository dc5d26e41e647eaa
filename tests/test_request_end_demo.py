"""The demo's two servers end a request where the MCP server does, and read no body before they look at its token."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from support.desync import exchanged_all, statuses
from support.listening import listening

from client_demo.admission import LARGEST_BODY_BYTES
from client_demo.runtime import URL_VARIABLE, create_runtime, main
from client_demo.web_server import create_web
from client_demo.web_settings import discover
from server.dev.stack import Stack
from server.http.connection import Connection

pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine 'MCPClient.stop:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]
WHO = b'{"action": "whoami"}'


@pytest.fixture(params=["runtime", "web"])
def port(request: pytest.FixtureRequest, stack: Stack) -> Iterator[int]:
    url = stack.addresses.mcp_url
    app = create_runtime(url) if request.param == "runtime" else create_web(discover(url, "tenantgate-web"), url)
    with listening(app) as running:
        yield running.port


def invocation(port: int, token: str, *lines: str, method: str = "POST", body: bytes = WHO) -> tuple[bytes, bytes]:
    head = [
        f"{method} /invocations HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        *([f"Authorization: Bearer {token}"] if token else []),
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *lines,
    ]
    return "\r\n".join(head).encode() + b"\r\n\r\n", body


def test_a_request_hidden_in_a_body_reaches_no_agent(stack: Stack, port: int) -> None:
    trail = stack.settings.audit.path
    assert trail is not None
    hidden = b"".join(invocation(port, stack.issuer.mint("mike-broker-a", sub=f"hidden-at-{port}")))
    outer = {
        "h2c": invocation(port, "", "Connection: Upgrade", "Upgrade: h2c", body=hidden),
        "websocket": invocation(port, "", "Connection: Upgrade", "Upgrade: websocket", body=hidden),
        "CONNECT": invocation(port, "", method="CONNECT", body=hidden),
    }
    answers = exchanged_all(port, outer)
    offering = invocation(port, stack.issuer.mint("mike-broker-a"), "Connection: Upgrade", "Upgrade: h2c")
    [offered] = exchanged_all(port, {"Java": offering}).values()
    subjects = {json.loads(line).get("subject") for line in trail.read_text().splitlines()}
    assert f"hidden-at-{port}" not in subjects
    found = {name: statuses(answer) for name, answer in answers.items()}
    assert found == {"h2c": [401], "websocket": [401], "CONNECT": [400]}
    assert statuses(offered) == [200]


def test_a_body_is_not_read_without_a_token_and_never_without_a_bound(port: int) -> None:
    """R142, R25: the package itself would keep the whole body first, 200 MB of it too."""
    length = LARGEST_BODY_BYTES
    waiting, _ = invocation(port, "", body=b"x" * length)
    large, _ = invocation(port, "some-token", body=b"x" * (length + 1))
    chunks = large.partition(b"Content-Length")[0] + b"Transfer-Encoding: chunked\r\n\r\n"
    block = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    # Each answer comes while the rest of the body is still to be sent.
    sent = {"no token": (waiting,), "large": (large,), "in chunks": (chunks, *[block] * (length // 65_536 + 1))}
    answers = {name: statuses(answer) for name, answer in exchanged_all(port, sent).items()}
    assert answers == {"no token": [401], "large": [413], "in chunks": [413]}


def test_the_runtime_that_is_started_listens_with_the_same_connections(monkeypatch, stack: Stack) -> None:
    options: dict[str, Any] = {}

    def run(_app: object, **given: Any) -> None:
        options.update(given)

    monkeypatch.setattr("uvicorn.run", run)
    monkeypatch.setenv(URL_VARIABLE, stack.addresses.mcp_url)
    main()
    assert (options["http"], options["ws"]) == (Connection, "none")
