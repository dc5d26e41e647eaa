"""The dashboard, the alerts and the page: they can be read, and name the metrics that a running server shows."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.telemetry.answers import REASONS
from server.telemetry.exposition import DEPARTED, WORKERS
from server.telemetry.metrics import METRICS, Metric

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "telemetry.md").read_text("utf-8")
ALERTS = ROOT / "deploy" / "prometheus" / "alerts.yml"
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "tenantgate.json").read_text("utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
# What Grafana puts in place of its own variables.
INTERVAL = "$__rate_interval"
ALL = (*METRICS, WORKERS, DEPARTED)


def names_of(metric: Metric) -> set[str]:
    ends = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
    return {metric.exposed + end for end in ends}


KNOWN = {name: metric for metric in ALL for name in names_of(metric)}
DASHBOARD_EXPRESSIONS = [target["expr"].replace(INTERVAL, "5m") for panel in PANELS for target in panel["targets"]]
RULES = [rule for group in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for rule in group["rules"]]
# Made by Prometheus itself for each target.
OF_PROMETHEUS = {"up"}


def selectors(expression: str) -> list[tuple[str, list[str]]]:
    """Return each metric of an expression with the labels that it is chosen by."""
    parser: Any = pytest.importorskip("promql_parser", reason="promql-parser is not installed")
    return list(_below(parser.parse(expression)))


def _below(node: Any) -> Iterator[tuple[str, list[str]]]:
    if type(node).__name__ == "VectorSelector":
        yield node.name, [one.name for one in node.matchers.matchers]
    parts = [getattr(node, name, None) for name in ("lhs", "rhs", "expr", "vector_selector")]
    for one in (*parts, *getattr(node, "args", ())):
        if one is not None:
            yield from _below(one)


@pytest.mark.parametrize("expression", [*DASHBOARD_EXPRESSIONS, *(rule["expr"] for rule in RULES)])
def test_each_expression_names_metrics_and_labels_that_exist(expression: str) -> None:
    found = selectors(expression)
    assert found
    for name, labels in found:
        if name in OF_PROMETHEUS:
            continue
        assert name in KNOWN, name
        own = {label.replace(".", "_") for label in KNOWN[name].labels} | {"worker", "le", "job", "instance"}
        assert set(labels) <= own, name


def test_every_metric_is_on_the_dashboard() -> None:
    text = "\n".join(DASHBOARD_EXPRESSIONS)
    assert [metric.exposed for metric in ALL if metric.exposed not in text] == []


def test_the_dashboard_is_whole() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    used = {name for one in DASHBOARD_EXPRESSIONS for name in re.findall(r"\$(\w+)", one)}
    assert used <= {one["name"] for one in DASHBOARD["templating"]["list"]}


def test_each_alert_says_what_it_found_and_is_explained() -> None:
    for rule in RULES:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
        assert f"`{rule['alert']}`" in PAGE


@pytest.mark.parametrize(("check", "file"), [("check", ALERTS), ("test", ALERTS.with_name("alerts.test.yml"))])
def test_promtool_accepts_the_rules_and_each_alert_fires_for_its_fault(check: str, file: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian's package prometheus has it)")
    found = subprocess.run(
        [promtool, check, "rules", str(file)], capture_output=True, text=True, check=False, timeout=60
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_every_alert_is_expected_by_the_test_of_the_rules() -> None:
    text = ALERTS.with_name("alerts.test.yml").read_text("utf-8")
    assert {rule["alert"] for rule in RULES} == set(re.findall(r'alertname="(\w+)"', text))


def test_the_page_has_a_row_for_each_metric() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \| `([a-z_.]+)` \| (\w+) \| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)
    wanted = [
        (
            one.exposed,
            one.name,
            one.kind,
            ", ".join(f"`{name.replace('.', '_')}`" for name in one.labels) or "none",
            one.help,
        )
        for one in ALL
    ]
    assert rows == wanted


def test_the_page_explains_each_reason_of_a_refusal() -> None:
    table = PAGE.partition("| reason | means |")[2].partition("\n\n")[0]
    first = [row.split("|")[1] for row in table.splitlines() if row]
    assert {name for cell in first for name in re.findall(r"`(\w+)`", cell)} == REASONS
