"""The view of summarize_claims: a page that a client with the MCP Apps extension shows, and text for every other."""

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conftest import MODERN

URI = "ui://tenantgate/summarize-claims.html"
MIME_TYPE = "text/html;profile=mcp-app"
ERAS = ["2024-11-05", "2025-11-25", MODERN]
HOST = Path(__file__).with_name("mcp_app_host.html")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def read(caller, era: str = MODERN) -> dict[str, Any]:
    answered = caller("mike-broker-a").post("resources/read", {"uri": URI}, era=era, headers={"mcp-name": URI})
    return answered.json()["result"]["contents"][0]


@pytest.fixture(scope="module")
def page(caller) -> str:
    return read(caller)["text"]


@pytest.mark.parametrize("era", ERAS)
def test_the_tool_leads_to_a_page_that_can_be_read(caller, era) -> None:
    mike = caller("mike-broker-a")
    tools = {tool["name"]: tool for tool in mike.post("tools/list", era=era).json()["result"]["tools"]}
    assert tools["summarize_claims"]["_meta"] == {"ui": {"resourceUri": URI}}
    (listed,) = mike.post("resources/list", era=era).json()["result"]["resources"]
    contents = read(caller, era)
    assert listed["uri"] == contents["uri"] == URI
    assert listed["mimeType"] == contents["mimeType"] == MIME_TYPE
    assert listed["_meta"] == contents["_meta"]
    assert contents["text"].startswith("<!doctype html>")


def test_the_page_may_reach_nothing(caller) -> None:
    assert read(caller)["_meta"]["ui"]["csp"] == {
        "connectDomains": [],
        "resourceDomains": [],
        "frameDomains": [],
        "baseUriDomains": [],
    }


def test_the_extension_is_advertised_where_the_protocol_knows_extensions(caller) -> None:
    """Handshake versions have no field for a server's extensions; there, the tool's `_meta` alone tells of it."""
    capabilities = caller("mike-broker-a").post("server/discover", era=MODERN).json()["result"]["capabilities"]
    assert capabilities["extensions"] == {"io.modelcontextprotocol/ui": {}}
    assert "resources" in capabilities


@pytest.mark.parametrize("era", ERAS)
def test_a_client_without_the_extension_gets_the_same_figures_as_text(caller, era) -> None:
    result = caller("mike-broker-a").call("summarize_claims", era=era, group_by="status")
    (content,) = result["content"]
    assert content["type"] == "text"
    assert json.loads(content["text"]) == result["structuredContent"]


def test_the_page_holds_all_it_needs_and_names_no_address(page) -> None:
    assert "://" not in page
    assert not re.search(r"\b(src|href|action)\s*=|@import|url\(", page)


def test_the_page_runs_its_own_script_and_no_other(page) -> None:
    """What an injected tag would run has another digest, so the browser refuses it."""
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src 'none'; ")
    for kind, tag in (("style-src", "style"), ("script-src", "script")):
        (body,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}'" in policy[1], f"after a change of the {tag}, set {kind} to 'sha256-{digest}'"


def test_data_becomes_text_and_never_markup(page) -> None:
    """R94."""
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|eval\(|Function\(|DOMParser", page)


@pytest.mark.parametrize("uri", ["ui://tenantgate/other.html", "file:///etc/passwd", "ui://tenantgate/../settings.py"])
def test_an_unknown_resource_is_told_with_the_known_ones(caller, uri) -> None:
    error = caller("mike-broker-a").post("resources/read", {"uri": uri}).json()["error"]
    assert error["code"] == -32602
    assert f"There are: {URI}." in error["message"]


def rendered(page: str, result: dict[str, Any], context: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Show the page in a browser, with a host page that plays the client's side; return what the host saw."""
    given = {"page": page, "arguments": {"group_by": "status"}, "result": result, "context": context}
    host = folder / "host.html"
    # `<` is escaped, so that the page's own tags cannot end the script of the host's.
    data = json.dumps(given).replace("<", "\\u003c")
    host.write_text(HOST.read_text(encoding="utf-8").replace("GIVEN", data), encoding="utf-8")
    command = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    seen = subprocess.run(
        [*command, "--virtual-time-budget=5000", "--window-size=640,520", "--dump-dom", host.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    found = re.search(r'<script type="application/json" id="seen">(.*?)</script>', seen, re.DOTALL)
    assert found is not None, seen
    return json.loads(found[1])


def told(page: str, caller, folder: Path, theme: str, **changes: object) -> dict[str, Any]:
    result = caller("mike-broker-a").call("summarize_claims", group_by="status") | changes
    return rendered(page, result, {"theme": theme, "locale": "en-US"}, folder)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)")
class TestInABrowser:
    """The page as a person sees it, under the policy that the extension has a host enforce."""

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_it_shows_the_servers_own_figures(self, page, caller, tmp_path, theme) -> None:
        seen = told(page, caller, tmp_path, theme)
        assert seen["methods"][:2] == ["ui/initialize", "ui/notifications/initialized"]
        assert "ui/notifications/size-changed" in seen["methods"]
        assert seen["rows"] == [
            "Status|Claims|Total|Average|Largest",
            "approved|1|1,275.25|1,275.25|1,275.25",
            "open|1|2,400.00|2,400.00|2,400.00",
            "pending|1|8,150.50|8,150.50|8,150.50",
            "All|3|11,825.75|3,941.92|8,150.50",
        ]
        assert seen["bars"] == 3
        assert seen["scheme"] == theme
        assert seen["problems"] == []

    def test_markup_in_a_groups_name_is_shown_and_does_nothing(self, page, caller, tmp_path) -> None:
        """R94."""
        attack = "<img src=x onerror=\"parent.attacked('image')\"><script>parent.attacked('script')</script>"
        figures = {"count": 1, "total_amount": "1.00", "average_amount": "1.00", "largest_amount": "1.00"}
        summary = {"groups": [{"key": attack, **figures}], "more_groups": False, "total": figures}
        seen = told(page, caller, tmp_path, "light", structuredContent=summary)
        assert seen["attacks"] == []
        assert seen["rows"][1] == f"{attack}|1|1.00|1.00|1.00"

    def test_a_failed_call_is_told_in_its_own_words(self, page, caller, tmp_path) -> None:
        failed = caller("mike-broker-a").call("summarize_claims", period="last_week", filed_from="2026-01-01")
        seen = rendered(page, failed, {}, tmp_path)
        assert seen["message"] == failed["content"][0]["text"]
        assert not seen["shown"]

    def test_a_host_that_passes_text_alone_is_enough(self, page, caller, tmp_path) -> None:
        seen = told(page, caller, tmp_path, "light", structuredContent=None)
        assert seen["rows"][-1] == "All|3|11,825.75|3,941.92|8,150.50"


def test_the_host_page_of_these_tests_enforces_the_extensions_policy() -> None:
    assert "default-src 'none'; script-src 'self' 'unsafe-inline'" in html.unescape(HOST.read_text(encoding="utf-8"))
