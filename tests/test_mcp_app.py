"""The view of a summary tool of any table: a chart for clients with the MCP Apps extension, text for every other."""

import base64
import hashlib
import html
import json
import re
from typing import Any

import pytest
from conftest import MODERN
from support.chart_page import CHROMIUM, COUNTS, HARD, HOST, ONE_COLUMN, result_of, shown

from server.catalog.view import chart

URI = "ui://tenantgate/summarize-claims.html"
MIME_TYPE = "text/html;profile=mcp-app"
ERAS = ["2024-11-05", "2025-11-25", MODERN]
NOTHING = "\N{EN DASH}"
# The last one looks like markup, and like what is put in for a title.
TITLES = ["Orders", "Größe & Gewicht", "</title></h1><script>parent.attacked('title')</script>{{title}}"]


def page_of(title: str) -> str:
    (contents,) = chart("summarize_orders", title).contents.contents
    return contents.model_dump()["text"]


@pytest.fixture(scope="module")
def page() -> str:
    return page_of("Count orders")


@pytest.mark.parametrize("era", ERAS)
def test_the_tool_leads_to_a_page_that_can_be_read(caller, era) -> None:
    mike = caller("mike-broker-a")
    tools = {tool["name"]: tool for tool in mike.post("tools/list", era=era).json()["result"]["tools"]}
    summary = tools["summarize_claims"]
    assert summary["_meta"] == {"ui": {"resourceUri": URI}}
    (listed,) = mike.post("resources/list", era=era).json()["result"]["resources"]
    read = mike.post("resources/read", {"uri": URI}, era=era, headers={"mcp-name": URI}).json()
    (contents,) = read["result"]["contents"]
    assert listed["uri"] == contents["uri"] == URI
    assert listed["mimeType"] == contents["mimeType"] == MIME_TYPE
    assert listed["_meta"] == contents["_meta"]
    assert contents["text"] == page_of(summary["title"])


def test_the_extension_is_advertised_where_the_protocol_knows_extensions(caller) -> None:
    """Handshake versions have no field for a server's extensions; there, only the tool's `_meta` shows it."""
    capabilities = caller("mike-broker-a").post("server/discover", era=MODERN).json()["result"]["capabilities"]
    assert capabilities["extensions"] == {"io.modelcontextprotocol/ui": {}}
    assert "resources" in capabilities


@pytest.mark.parametrize("era", ERAS)
def test_a_client_without_the_extension_gets_the_same_figures_as_text(caller, era) -> None:
    result = caller("mike-broker-a").call("summarize_claims", era=era, group_by="status")
    (content,) = result["content"]
    assert content["type"] == "text"
    assert json.loads(content["text"]) == result["structuredContent"]


@pytest.mark.parametrize("uri", ["ui://tenantgate/other.html", "file:///etc/passwd", "ui://tenantgate/../settings.py"])
def test_an_unknown_resource_is_answered_with_the_known_ones(caller, uri) -> None:
    error = caller("mike-broker-a").post("resources/read", {"uri": uri}).json()["error"]
    assert error["code"] == -32602
    assert f"Use one of: {URI}." in error["message"]


def test_each_tool_has_an_address_of_its_own() -> None:
    assert chart("summarize_claims", "Claims").uri == URI
    names = ["a_b", "a-b", "a__b", "a--b", "a_-b", "a-_b", "ab"]
    assert len({chart(name, "Title").uri for name in names}) == len(names)


def test_the_page_may_reach_nothing() -> None:
    view = chart("summarize_orders", "Orders")
    (contents,) = view.contents.contents
    domains = {"connectDomains": [], "resourceDomains": [], "frameDomains": [], "baseUriDomains": []}
    assert (contents.meta or {})["ui"]["csp"] == (view.described.meta or {})["ui"]["csp"] == domains


def test_the_page_holds_all_it_needs_and_names_no_address(page) -> None:
    assert "://" not in page
    assert not re.search(r"\b(src|href|action)\s*=|@import|url\(", page)


@pytest.mark.parametrize("title", TITLES)
def test_the_title_is_text_in_title_and_heading_alone(title) -> None:
    page = page_of(title)
    assert page.count(html.escape(title)) == 2
    assert f"<title>{html.escape(title)}</title>" in page
    assert f"<h1>{html.escape(title)}</h1>" in page


@pytest.mark.parametrize("title", TITLES)
def test_the_page_runs_its_own_script_and_no_other(title) -> None:
    """An injected script or style has another digest, so the browser refuses it."""
    page = page_of(title)
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


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium (Debian: apt-get install chromium)")
class TestInABrowser:
    """The page as a person sees it, under the policy that the extension has a host enforce."""

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_the_chart_shows_the_figures_of_a_result(self, page, tmp_path, theme) -> None:
        given = {"group_by": "line_of_business"}
        context = {"theme": theme, "locale": "en-US"}
        seen = shown(page, result_of(ONE_COLUMN), tmp_path, arguments=given, context=context)
        assert seen["methods"][:2] == ["ui/initialize", "ui/notifications/initialized"]
        assert "ui/notifications/size-changed" in seen["methods"]
        assert seen["heading"] == seen["title"] == "Count orders"
        assert seen["dates"] == "Filed: 2026-06-29 to 2026-07-05 · As of 2026-07-08"
        assert seen["caption"] == "By line of business"
        assert seen["rows"] == [
            "Line of business|Count|Total amount|Average amount",
            "approved|1|1,275.25|1,275.25",
            "open|1,200|2,400.00|2.00",
            "All|1,201|3,675.25|3.06",
        ]
        assert seen["measures"] == ["Count", "Total amount", "Average amount"]
        assert [(bar["value"], bar["drawn"]) for bar in seen["bars"]] == [("1", [0, 0]), ("1,200", [0, 100])]
        assert (seen["scheme"], seen["message"], seen["problems"]) == (theme, "", [])

    def test_the_chart_shows_the_figures_of_the_server(self, caller, page, tmp_path) -> None:
        result = caller("mike-broker-a").call("summarize_claims", group_by="status")
        seen = shown(page, result, tmp_path)
        assert seen["dates"] == f"Filed: any day · As of {result['structuredContent']['as_of']}"
        assert seen["rows"] == [
            "Status|Count|Total amount|Average amount|Largest amount",
            "approved|1|1,275.25|1,275.25|1,275.25",
            "open|1|2,400.00|2,400.00|2,400.00",
            "pending|1|8,150.50|8,150.50|8,150.50",
            "All|3|11,825.75|3,941.92|8,150.50",
        ]

    def test_a_person_chooses_what_the_bars_show(self, page, tmp_path) -> None:
        seen = shown(page, result_of(ONE_COLUMN), tmp_path, measure="total_amount")
        assert [(bar["value"], bar["drawn"]) for bar in seen["bars"]] == [("1,275.25", [0, 53]), ("2,400.00", [0, 100])]

    def test_a_summary_without_measures_counts_rows(self, page, tmp_path) -> None:
        seen = shown(page, result_of(COUNTS), tmp_path, arguments={"group_by": "region"})
        assert seen["rows"] == ["Region|Count", "eu|3", "us|1", "All|9"]
        assert (seen["measures"], seen["choice"]) == ([], "Bars show: Count")
        assert [bar["drawn"] for bar in seen["bars"]] == [[0, 100], [0, 33]]
        assert seen["dates"] == "As of 2026-07-08"
        assert seen["message"].startswith("There are more groups than are shown")

    def test_every_digit_of_every_value_is_shown(self, page, tmp_path) -> None:
        seen = shown(page, result_of(HARD), tmp_path)
        assert seen["rows"] == [
            "Status|Count|Total balance|Smallest balance|Total parts",
            "constructor|2|-50.5|-Infinity|7",
            "(empty)|1|100|0|0",
            f"{'x' * 300}|1|NaN|{NOTHING}|0",
            f"(none)|1|0|{NOTHING}|9,007,199,254,740,993",
            f"huge|1|-9{',999' * 133}.125|{NOTHING}|0",
            "All|6|NaN|-Infinity|9,007,199,254,741,000",
        ]
        assert seen["fits"]

    def test_an_integer_that_the_client_has_rounded_is_shown_as_such(self, page, tmp_path) -> None:
        seen = shown(page, result_of(HARD) | {"content": []}, tmp_path)
        assert seen["rows"][4] == f"(none)|1|0|{NOTHING}|≈ 9,007,199,254,740,992"

    def test_bars_go_both_ways_and_infinite_ones_are_marked(self, page, tmp_path) -> None:
        seen = shown(page, result_of(HARD), tmp_path, measure="total_balance")
        negative, largest, not_a_number, zero, huge = seen["bars"]
        assert (negative["drawn"], negative["endless"]) == ([28, 52], False)
        assert (largest["drawn"], largest["endless"]) == ([52, 100], False)
        assert not_a_number["drawn"] is zero["drawn"] is None
        assert (huge["drawn"], huge["endless"]) == ([0, 52], True)
        assert seen["note"]

    def test_infinite_values_alone_are_drawn(self, page, tmp_path) -> None:
        seen = shown(page, result_of(HARD), tmp_path, measure="smallest_balance")
        assert [bar["drawn"] for bar in seen["bars"]] == [[0, 100], None, None, None, None]
        assert seen["note"]

    def test_every_range_of_days_is_shown(self, page, tmp_path) -> None:
        assert shown(page, result_of(HARD), tmp_path)["dates"] == (
            "Placed: from 2026-01-01 · Due date: 2026-02-03 · Paid: until 2026-03-31 · Sent back: any day"
            " · As of 2026-07-08"
        )

    def test_without_group_by_the_total_stands_alone(self, page, tmp_path) -> None:
        total = {"count": 4, "total_amount": "12.50"}
        summary = {"groups": [{"key": "all", **total}], "more_groups": False, "total": total}
        seen = shown(page, result_of(summary), tmp_path, arguments={})
        assert (seen["rows"], seen["bars"]) == (["Group|Count|Total amount", "All|4|12.50"], [])

    def test_a_summary_of_no_rows_says_so(self, page, tmp_path) -> None:
        seen = shown(page, result_of(ONE_COLUMN | {"groups": []}), tmp_path)
        assert (seen["message"], seen["shown"]) == ("No rows match.", False)

    def test_a_change_of_the_hosts_locale_changes_the_numbers_alone(self, page, tmp_path) -> None:
        seen = shown(page, result_of(ONE_COLUMN), tmp_path, measure="total_amount", later={"locale": "de-DE"})
        assert seen["rows"][-1] == "All|1.201|3.675,25|3,06"
        assert [bar["value"] for bar in seen["bars"]] == ["1.275,25", "2.400,00"]

    def test_markup_in_names_is_shown_and_does_nothing(self, tmp_path) -> None:
        """R94."""
        attack = "<img src=x onerror=\"parent.attacked('image')\"><script>parent.attacked('script')</script>"
        figures = {"count": 1, f"total_{attack}": attack}
        summary = {"groups": [{"key": attack, **figures}], "more_groups": False, "total": figures}
        seen = shown(page_of(TITLES[-1]), result_of(summary), tmp_path, arguments={"group_by": attack})
        assert seen["attacks"] == seen["problems"] == []
        assert seen["heading"] == seen["title"] == TITLES[-1]
        assert seen["rows"][:2] == [f"{attack}|Count|Total {attack}", f"{attack}|1|{attack}"]

    def test_a_failed_call_is_shown_in_its_own_words(self, page, tmp_path) -> None:
        text = "Give either period or filed_from and filed_to, not both; nothing was read."
        seen = shown(page, {"content": [{"type": "text", "text": text}], "isError": True}, tmp_path)
        assert (seen["message"], seen["shown"]) == (text, False)

    @pytest.mark.parametrize("summary", [None, {"groups": [None], "total": {}}])
    def test_a_result_that_is_not_a_summary_is_refused(self, page, tmp_path, summary: Any) -> None:
        seen = shown(page, {"content": [], "structuredContent": summary}, tmp_path)
        assert (seen["message"], seen["shown"]) == ("The result cannot be shown as a chart.", False)

    @pytest.mark.parametrize("part", ["content", "structuredContent"])
    def test_a_host_that_passes_one_form_of_the_result_is_enough(self, page, tmp_path, part) -> None:
        seen = shown(page, {part: result_of(ONE_COLUMN)[part]}, tmp_path)
        assert seen["rows"][-1] == "All|1,201|3,675.25|3.06"


def test_the_host_page_of_these_tests_enforces_the_extensions_policy() -> None:
    assert "default-src 'none'; script-src 'self' 'unsafe-inline'" in html.unescape(HOST.read_text(encoding="utf-8"))
