"""The web demo's server: the committed page, its configuration, the agent on the same origin, and nothing else."""

import json
import re
import signal
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.listening import listening

from client_demo.errors import ServerError
from client_demo.scenario import LAST_WEEK
from client_demo.web_server import PAGE, create_web
from client_demo.web_settings import discover
from server.dev.stack import Stack

ROOT = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine 'MCPClient.stop:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def page(stack: Stack) -> Iterator[str]:
    mcp_url = stack.addresses.mcp_url
    with listening(create_web(discover(mcp_url, "tenantgate-web"), mcp_url)) as running:
        yield running.url


def test_the_configuration_comes_from_the_servers_own_metadata(stack, page, http):
    assert http.get(f"{page}/config.json").json() == {
        "issuer": stack.addresses.issuer,
        "client_id": "tenantgate-web",
        "resource": stack.addresses.mcp_url,
        "scopes": ["openid", "claims:read", "policies:read"],
        "agent_url": "/invocations",
    }


@pytest.fixture(scope="module")
def development_page(stack: Stack) -> Iterator[str]:
    mcp_url = stack.addresses.mcp_url
    with listening(create_web(discover(mcp_url, "tenantgate-web", development=True), mcp_url)) as running:
        yield running.url


def test_in_development_the_configuration_names_two_people_as_the_server_knows_them(stack, development_page, http):
    told = http.get(f"{development_page}/config.json").json()["development"]
    assert told["calls_url"] == f"{stack.addresses.issuer}/development/calls"
    for person in told["people"]:
        sent = {"Authorization": f"Bearer {stack.issuer.mint(person['name'])}"}
        identity = http.post(f"{development_page}/invocations", json={"action": "whoami"}, headers=sent).json()[
            "identity"
        ]
        assert (identity["tenant"], identity["tier"]) == (person["tenant"], person["tier"])


def test_in_development_the_sign_in_page_alone_may_be_framed_and_by_this_page_alone(stack, development_page, http):
    for path, ancestors in (("/", "'none'"), ("/config.json", "'none'"), ("/popup.html", "'self'")):
        policy = http.get(f"{development_page}{path}").headers["content-security-policy"]
        directives = dict(one.split(" ", 1) for one in policy.split("; "))
        assert directives["frame-ancestors"] == ancestors
        assert directives["frame-src"] == f"'self' {stack.addresses.issuer}"
        assert "unsafe" not in policy


@pytest.mark.parametrize("path", ["/", "/popup.html", "/config.json", "/missing", "/ping"])
def test_every_answer_carries_a_policy_that_lets_nothing_foreign_in(stack, page, http, path):
    headers = http.get(f"{page}{path}").headers
    directives = dict(one.split(" ", 1) for one in headers["content-security-policy"].split("; "))
    assert directives["default-src"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == "'self'"
    assert directives["connect-src"] == f"'self' {stack.addresses.issuer}"
    assert (
        directives["frame-ancestors"]
        == directives["frame-src"]
        == directives["base-uri"]
        == directives["form-action"]
        == "'none'"
    )
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    # A window that a sign-in ends in must still know the page that opened it.
    assert ("cross-origin-opener-policy" in headers) == (path != "/popup.html")


def test_the_page_asks_for_its_own_files_alone_and_runs_nothing_inline(page, http):
    for name in ("/", "/popup.html"):
        html = http.get(f"{page}{name}").text
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\son\w+=|\sstyle=", html)
        for address in re.findall(r'(?:src|href)="([^"]+)"', html):
            assert address.startswith("/")
            answer = http.get(f"{page}{address}")
            assert answer.status_code == 200
            kept = "public, max-age=31536000, immutable" if address.startswith("/assets/") else "no-cache"
            assert answer.headers["cache-control"] == kept


def test_the_committed_build_is_small_and_has_no_source_maps():
    files = [file for file in PAGE.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 2_500_000
    assert {file.suffix for file in files} == {".css", ".html", ".js", ".md", ".svg"}
    assert not any("sourceMappingURL" in file.read_text(encoding="utf-8") for file in files)


def test_what_pip_installs_has_the_built_page_and_no_node_in_it(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    [wheel] = tmp_path.glob("*.whl")
    installed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("client_demo/web/")}
    built = {f"client_demo/web/dist/{file.relative_to(PAGE)}" for file in PAGE.rglob("*") if file.is_file()}
    assert installed == built


def test_the_request_id_of_each_tool_call_comes_with_its_result(stack, page, http):
    sent = {"Authorization": f"Bearer {stack.issuer.mint('mike-broker-a')}"}
    answer = http.post(f"{page}/invocations", json={"prompt": LAST_WEEK}, headers=sent).text
    [result] = [event for line in answer.split("\n\n") if (event := _event(line)).get("type") == "tool_result"]
    assert re.fullmatch(r"[0-9a-f]{16}", result["request"])


def _event(line: str) -> dict[str, Any]:
    return json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}


def test_the_agent_is_on_the_same_origin(stack, page, http):
    sent = {"Authorization": f"Bearer {stack.issuer.mint('mike-broker-a')}"}
    answer = http.post(f"{page}/invocations", json={"prompt": LAST_WEEK}, headers=sent)
    assert "2 claims were filed last week" in answer.text
    assert http.post(f"{page}/invocations", json={"prompt": LAST_WEEK}).status_code == 401
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "mcp.example.com:80"])
def test_another_name_for_this_address_is_refused(page, http, host):
    """R9: DNS rebinding would otherwise let a foreign page read what is here."""
    assert http.get(f"{page}/config.json", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("path", ["/../web_server.py", "/..%2fweb_server.py", "/%2e%2e/package.json", "/assets/"])
def test_only_the_built_page_is_served(page, http, path):
    assert http.get(f"{page}{path}").status_code == 404


def test_a_huge_body_is_refused(page, http):
    assert http.post(f"{page}/invocations", content=b"x" * (1024 * 1024 + 1)).status_code == 413


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("http://127.0.0.1:1/mcp", "http://127.0.0.1:1/mcp cannot be reached"),
        ("{issuer}", "does not say where to sign in"),
    ],
)
def test_an_address_that_does_not_help_is_named(stack, address, says):
    with pytest.raises(ServerError, match=says):
        discover(address.format(issuer=stack.addresses.issuer), "tenantgate-web")


# As a process.


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "client_demo.web_server", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_address_is_printed_and_a_signal_stops_everything(stack, number):
    with start("--port", "0", "--mcp-url", stack.addresses.mcp_url) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = line.removeprefix("Web demo:").strip()
        assert httpx2.get(f"{address}config.json").status_code == 200
        # uvicorn alone would answer it, and run what follows it: tests/test_request_end_demo.py.
        assert httpx2.request("CONNECT", f"{address}config.json").status_code == 400
        process.send_signal(number)
        said, errors = process.communicate(timeout=20)
    assert "every process that was started here has ended" in said
    assert errors == ""


def test_a_port_that_is_taken_is_named_before_anything_is_started():
    with socket.create_server(("127.0.0.1", 0)) as taken, start("--port", str(taken.getsockname()[1])) as process:
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "choose another with --port" in errors
    assert "Starting" not in errors
