"""Where the endpoint and its metadata answer: the path of the resource, each tenant's address, host names."""

import json
import re
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs
from support.gate import BODY, METADATA, ORIGIN, RESOURCE, Served
from support.server_of_its_own import server_of_its_own

from server.auth.metadata import ResourceMetadata
from server.dev.stack import Stack
from server.http.address import Address
from server.settings import Settings

TENANT = "broker-a"
# None of them can be a tenant of anybody: unknown, foreign, or not a tenant id at all.
NOT_MINE = [
    "nobody",
    "broker-b",
    "BROKER-A",
    "broker-a%00",
    "broker-a%0a",
    "a%2Fb",
    "broker-a/",
    "",
    "..%2f",
    "%F0%9F%98%80",
    "x" * 300,
]
WELL_KNOWN = "/.well-known/oauth-protected-resource"


@dataclass(frozen=True)
class Behind:
    """A server whose resource has a path of its own, and a token for it."""

    origin: str
    path: str
    token: str

    def post(self, path: str, **headers: str) -> httpx2.Response:
        sent = {"content-type": "application/json", "accept": "application/json"} | headers
        sent.setdefault("authorization", f"Bearer {self.token}")
        return httpx2.post(self.origin + path, content=BODY, headers=sent)


@pytest.fixture(scope="module", params=["/claims-api/mcp", "/mcp", "", "/", "/a%20b/mcp", "/mcp/"])
def behind(stack: Stack, request: pytest.FixtureRequest) -> Generator[Behind]:
    resource = f"https://mcp.example.com{request.param}"
    with server_of_its_own(stack, changed={"resource_url": resource}) as server:
        yield Behind(server.url, request.param, stack.issuer.mint("mike-broker-a", resource=resource))


def test_the_endpoint_answers_on_the_path_of_the_resource_and_nowhere_else(behind: Behind) -> None:
    """Case 16 (b)."""
    assert behind.post(behind.path).json()["result"]["structuredContent"]["tenant"] == TENANT
    others = {"/mcp", "/claims-api/mcp", "/", "/a%20b/mcp", "/mcp/", "/other"} - {behind.path or "/"}
    assert {behind.post(path).status_code for path in others} == {404}


def test_the_endpoint_answers_at_the_address_of_the_callers_own_tenant(behind: Behind) -> None:
    base = behind.path.rstrip("/")
    answer = behind.post(f"{base}/t/{TENANT}")
    assert answer.json()["result"]["structuredContent"]["tenant"] == TENANT
    assert behind.post(f"{base}/t/broker-b").status_code == 403


def test_only_post_is_answered_at_either_address(behind: Behind) -> None:
    for path in (behind.path, f"{behind.path.rstrip('/')}/t/{TENANT}"):
        for method in ("GET", "HEAD", "DELETE", "PUT"):
            answer = httpx2.request(method, behind.origin + path)
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_each_address_has_its_metadata_where_its_challenge_says(behind: Behind) -> None:
    """R31: RFC 9728 section 3.1: between the host and the path of the resource."""
    resource, base = f"https://mcp.example.com{behind.path}", behind.path.rstrip("/")
    named = {behind.path: resource, f"{base}/t/{TENANT}": f"{resource.rstrip('/')}/t/{TENANT}"}
    for path, name in named.items():
        challenge = behind.post(path, authorization="").headers["www-authenticate"]
        url = challenge.partition('resource_metadata="')[2].rstrip('"')
        assert url == f"https://mcp.example.com{WELL_KNOWN}{path.rstrip('/')}"
        document = httpx2.get(url.replace("https://mcp.example.com", behind.origin)).json()
        assert document["resource"] == name


def test_every_address_that_is_not_the_callers_is_refused_alike(served: Served) -> None:
    """R73: whether a tenant exists, and even what a tenant id may look like, cannot be learned."""
    token = served.strict.token()
    answers = [_post(served, f"/mcp/t/{segment}", token) for segment in NOT_MINE]
    assert {answer.status_code for answer in answers} == {403}
    assert {answer.json()["error"]["code"] for answer in answers} == {-32003}
    assert len({answer.text for answer in answers}) == 1
    assert len({tuple(sorted({*answer.headers} - {"date"})) for answer in answers}) == 1
    assert _post(served, f"/mcp/t/{TENANT}", token).status_code == 200


def test_an_address_is_judged_after_the_token(served: Served) -> None:
    for segment in [TENANT, *NOT_MINE]:
        assert _post(served, f"/mcp/t/{segment}", None).status_code == 401
    hostile = _post(served, "/mcp/t/x%22%0d%0aset-cookie:a=b", None)
    assert hostile.headers["www-authenticate"].endswith(f'resource_metadata="{METADATA}"')
    assert "set-cookie" not in hostile.headers


def test_a_token_for_a_tenants_address_is_good_there_alone(served: Served) -> None:
    """R49, RFC 8707: a client asks its issuer for a token for exactly the address that it connects to."""
    token = served.strict.token(aud=f"{RESOURCE}/t/{TENANT}")
    assert _post(served, f"/mcp/t/{TENANT}", token).status_code == 200
    for path in ("/mcp", "/mcp/t/broker-b", "/mcp/t/nobody"):
        assert _post(served, path, token).status_code == 401


def test_a_tenants_address_says_the_same_to_a_browser(served: Served) -> None:
    answer = _post(served, f"/mcp/t/{TENANT}", served.strict.token(), origin=ORIGIN)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert _post(served, f"/mcp/t/{TENANT}", served.strict.token(), origin="https://evil.example").status_code == 403


def test_a_page_may_ask_for_the_metadata_with_a_protocol_version(served: Served) -> None:
    """Case 19, the first line."""
    for path in (WELL_KNOWN, f"{WELL_KNOWN}/mcp", f"{WELL_KNOWN}/mcp/t/{TENANT}"):
        asked = {"origin": "https://any.example", "access-control-request-headers": "mcp-protocol-version"}
        preflight = served.http.options(f"http://{served.host}{path}", headers=asked)
        assert (preflight.status_code, preflight.content) == (204, b"")
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert preflight.headers["access-control-allow-headers"] == "mcp-protocol-version"
        assert served.http.get(f"http://{served.host}{path}").headers["access-control-allow-origin"] == "*"
        assert served.http.head(f"http://{served.host}{path}").status_code == 200
        assert served.http.post(f"http://{served.host}{path}").status_code == 405


@pytest.mark.parametrize("path", ["/ping", "/healthz", "/readyz"])
def test_health_answers_get_and_head(served: Served, path: str) -> None:
    url = f"http://{served.host}{path}"
    assert served.http.get(url).status_code == 200
    head = served.http.head(url)
    assert (head.status_code, head.content) == (200, b"")
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert served.http.request(method, url).status_code == 405


@pytest.mark.parametrize(
    ("resource", "listed", "host", "is_answered"),
    [
        ("https://MCP.example.com/mcp", (), "mcp.example.com", True),
        ("https://MCP.example.com/mcp", (), "MCP.EXAMPLE.COM:443", True),
        ("https://mcp.example.com:443/mcp", (), "mcp.example.com", True),
        ("https://mcp.example.com/mcp", (), "mcp.example.com:80", False),
        ("https://mcp.example.com/mcp", (), "mcp.example.com:443:443", False),
        ("https://mcp.example.com:8443/mcp", (), "mcp.example.com:8443", True),
        ("https://mcp.example.com:8443/mcp", (), "mcp.example.com", False),
        ("http://LOCALHOST/mcp", (), "localhost:80", True),
        ("https://mcp.example.com/mcp", ("Internal:443", "tg:8000"), "internal", True),
        ("https://mcp.example.com/mcp", ("Internal:443", "tg:8000"), "TG:8000", True),
        ("https://mcp.example.com/mcp", ("internal",), "mcp.example.com", False),
        ("https://mcp.example.com/mcp", (), "", False),
        # A port may be empty (RFC 9110 section 7.2), and is then the scheme's own.
        ("https://mcp.example.com/mcp", (), "mcp.example.com:", True),
        ("https://mcp.example.com/mcp", (), "mcp.example.com::443", False),
        ("https://mcp.example.com/mcp", (), ":443", False),
        ("HTTPS://mcp.example.com:443/mcp", (), "mcp.example.com:443", True),
        ("https://[2001:DB8::1]/mcp", (), "[2001:db8::1]:443", True),
        ("https://[2001:db8::1]:8443/mcp", (), "[2001:db8::1]:8443", True),
        ("https://[2001:db8::1]:8443/mcp", (), "[2001:db8::1]", False),
        # nginx's own default: the name of its upstream group.
        ("https://mcp.example.com/mcp", ("mcp.example.com", "tg"), "tg", True),
        # This very machine has several names, and a developer uses any of them.
        ("http://127.0.0.1:8000/mcp", (), "localhost:8000", True),
        ("http://127.0.0.1:8000/mcp", (), "LocalHost:8000", True),
        ("http://127.0.0.1:8000/mcp", (), "[::1]:8000", True),
        ("http://localhost:8000/mcp", (), "127.0.0.1:8000", True),
        ("http://127.0.0.1:8000/mcp", (), "localhost", False),
        ("http://127.0.0.1:8000/mcp", (), "localhost.evil.example:8000", False),
        ("http://127.0.0.1:8000/mcp", (), "127.0.0.2:8000", False),
        ("http://127.0.0.1:8000/mcp", ("127.0.0.1:8000",), "localhost:8000", False),
        ("https://mcp.example.com/mcp", (), "localhost", False),
    ],
)
def test_hosts_are_compared_in_lower_case_and_without_their_default_port(
    stack: Stack, resource: str, listed: tuple[str, ...], host: str, is_answered: bool
) -> None:
    """R9, case 16 (a) and (c); a refused one is named in the log, and the answer names the setting."""
    settings = stack.settings.model_copy(update={"resource_url": resource, "allowed_hosts": listed})
    headers = [(b"host", host.encode())]
    outcome = Address(settings, ResourceMetadata(settings, ())).judge(
        {"method": "POST", "headers": headers}, dict(headers)
    )
    if is_answered:
        assert outcome is None
    else:
        assert outcome is not None
        assert outcome.status == 421
        assert json.loads(outcome.body)["error"]["message"].endswith("list it in allowed_hosts.")
        assert outcome.decision.cause == f"Host {host!r}"


def test_a_refused_host_is_named_in_the_log_in_few_printable_characters(served: Served) -> None:
    """Case 16 (a): what stands there is a stranger's."""
    host = 'evil.example"\\n' + "x" * 500
    with capture_logs() as lines:
        answer = _post(served, "/mcp", None, host=host)
    assert (answer.status_code, answer.json()["error"]["code"]) == (421, -32600)
    assert "evil" not in answer.text
    (line,) = [line for line in lines if line.get("status") == 421]
    assert line["cause"] == f"Host {host[:64]!a}"


def test_the_development_server_answers_to_localhost(stack: Stack) -> None:
    """Case 16 (c)."""
    url, token = stack.addresses.mcp_url, stack.issuer.mint("mike-broker-a")
    headers = {"authorization": f"Bearer {token}", "accept": "application/json", "content-type": "application/json"}
    statuses = [
        httpx2.post(
            url, content=BODY, headers=headers | {"host": url.split("/")[2].replace("127.0.0.1", name)}
        ).status_code
        for name in ("127.0.0.1", "localhost", "LOCALHOST", "[::1]", "evil.example")
    ]
    assert statuses == [200, 200, 200, 200, 421]


@pytest.mark.parametrize(
    ("resource", "said"),
    [
        *(
            ("https://mcp.example.com/" + path, "`.` or `..` part")
            for path in ("a/../mcp", "./mcp", "/mcp", "a/%2e%2e/b")
        ),
        *(("https://mcp.example.com/" + path, "no braces") for path in ("{tenant}/mcp", "%7Ba%7D")),
        *(("https://mcp.example.com/" + path, "another path") for path in ("ping", "readyz", ".well-known/mcp")),
        ("https://münchen.example/mcp", "xn-- form"),
        ("https://mcp.example.com/münchen", "percent-encoded"),
        ("https://mcp.example.com:99999/mcp", "0-65535"),
        ("https://mcp.example.com:0/mcp", "1 to 65535"),
        ("https://user@mcp.example.com/mcp", "no user"),
    ],
)
def test_a_resource_that_no_request_could_reach_is_a_wrong_setting(resource: str, said: str) -> None:
    """Case 16 (b): served under its path, or refused at the start."""
    with pytest.raises(ValidationError, match=re.escape(said)):
        Settings.model_validate({"resource_url": resource})


def _post(served: Served, path: str, token: str | None, **headers: Any) -> httpx2.Response:
    sent = {"content-type": "application/json", "accept": "application/json", **headers}
    if token is not None:
        sent["authorization"] = f"Bearer {token}"
    return served.http.post(f"http://{served.host}{path}", content=BODY, headers=sent, follow_redirects=False)
