"""Metrics as a scrape reads them: of one worker and of several, and who is never named (R204, R205, R206)."""

import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from support.ports import free_port
from support.real_server import beside
from support.server_of_its_own import OwnServer, server_of_its_own
from support.telemetry import variables, wait_until

from server.dev.stack import Stack
from server.http.outcome import Decision, Outcome
from server.http.paced_refusals import PER_PERSON
from server.settings import AuditSettings, LimitsSettings, TelemetrySettings
from server.telemetry.answers import REASONS
from server.telemetry.exposition import DEPARTED, WORKERS, combined
from server.telemetry.histogram import MOST_SERIES, Histogram
from server.telemetry.metrics import METRICS, OPERATIONS, Metric
from server.telemetry.sharing import Gathered, Sender
from server.telemetry.snapshot import Snapshot, decoded, encoded, of_histogram
from server.telemetry.telemetry import Telemetry
from server.telemetry.watch import Measures

ROOT = Path(__file__).parents[1]
SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? (\S+)$")
CALLS = "mcp_server_operation_duration_seconds_count"


def samples(text: str) -> dict[tuple[str, str], float]:
    """Return the samples of a scrape by name and labels."""
    found = [SAMPLE.fullmatch(line) for line in text.splitlines() if not line.startswith("#")]
    return {(one[1], one[2] or ""): float(one[3]) for one in found if one}


def total(text: str, name: str, part: str = "") -> float:
    return sum(value for (found, labels), value in samples(text).items() if found == name and part in labels)


def scraped(port: int, path: str = "/metrics") -> httpx2.Response:
    return httpx2.get(f"http://127.0.0.1:{port}{path}", timeout=20)


@pytest.fixture(scope="module")
def shown(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OwnServer, int]]:
    """Return a server that shows its metrics after some calls, and the port."""
    port = free_port()
    trail = AuditSettings(path=tmp_path_factory.mktemp("trail") / "audit.jsonl")
    changed = {"telemetry": TelemetrySettings(metrics_port=port), "audit": trail}
    with variables(), server_of_its_own(stack, changed=changed) as server:
        for _ in range(3):
            server.call("query_claims")
        server.call("search_policies", query="deductible")
        server.call("query_claims", limit=-1)
        httpx2.post(f"{server.url}/mcp", timeout=20)
        wait_until(lambda: total(scraped(port).text, "tenantgate_requests_total") == 6)
        yield server, port


def test_every_request_is_counted_by_method_tool_and_kind_of_error(shown: tuple[OwnServer, int]) -> None:
    text = scraped(shown[1]).text
    assert total(text, CALLS, 'gen_ai_tool_name="query_claims"') == 4
    assert total(text, CALLS, 'error_type="tool_error"') == 1
    assert total(text, "tenantgate_requests_total", '"401"') == 1
    assert total(text, "tenantgate_refusals_total", '"no_token"') == 1
    assert total(text, "tenantgate_refusals_total", '"arguments"') == 1
    assert total(text, "db_client_operation_duration_seconds_count", "claims") == 3
    assert total(text, "tenantgate_documents_calls_total") == total(
        text, "gen_ai_client_operation_duration_seconds_count"
    )
    assert {labels for name, labels in samples(text) if name == "tenantgate_refusals_total"} == {
        f'reason="{one}"' for one in REASONS
    }


def test_a_server_shows_every_metric_that_is_listed(shown: tuple[OwnServer, int]) -> None:
    """So the dashboard, the alerts and the docs, which name these, name what is scraped."""
    text = scraped(shown[1]).text
    # A server without a store of limits has no metrics of it.
    wanted = [metric for metric in (*METRICS, WORKERS, DEPARTED) if not metric.name.startswith("tenantgate.limits.")]
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    assert kinds == {metric.exposed: metric.kind for metric in wanted}
    helps = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE))
    assert helps == {metric.exposed: metric.help for metric in wanted}


def test_metrics_name_no_tenant_and_no_person(shown: tuple[OwnServer, int]) -> None:
    """R204."""
    server, port = shown
    text = scraped(port).text
    for name in ("broker-a", "broker-b", "mike", server.token, "tenant=", "sub="):
        assert name not in text
    assert {"tenant"} == {one for metric in METRICS for one in metric.labels if one in {"tenant", "person", "subject"}}


def test_the_port_answers_get_of_metrics_and_nothing_else(shown: tuple[OwnServer, int]) -> None:
    """R205."""
    server, port = shown
    found = scraped(port)
    assert found.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert httpx2.post(f"http://127.0.0.1:{port}/metrics", timeout=20).status_code == 405
    assert [scraped(port, path).status_code for path in ("/", "/mcp", "/healthz", "/metrics/")] == [404] * 4
    assert httpx2.get(f"{server.url}/metrics", timeout=20).status_code == 404


def test_promtool_finds_nothing_to_correct(shown: tuple[OwnServer, int]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian's package prometheus has it)")
    found = subprocess.run(
        [promtool, "check", "metrics"],
        input=scraped(shown[1]).text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (found.returncode, found.stderr) == (0, "")


@pytest.mark.slow
def test_prometheus_scrapes_it_without_a_warning(shown: tuple[OwnServer, int], tmp_path: Path) -> None:
    prometheus = shutil.which("prometheus")
    if prometheus is None:
        pytest.skip("prometheus is not installed")
    port = free_port()
    config = tmp_path / "prometheus.yml"
    job = f'{{job_name: tenantgate, static_configs: [{{targets: ["127.0.0.1:{shown[1]}"]}}]}}'
    config.write_text(f"global: {{scrape_interval: 1s}}\nscrape_configs: [{job}]\n")
    options = [
        f"--config.file={config}",
        f"--storage.tsdb.path={tmp_path}/data",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen([prometheus, *options], stdout=log, stderr=log) as process,
    ):
        try:
            wait_until(lambda: bool(_asked(port, 'up{job="tenantgate"} == 1')))
            wait_until(lambda: bool(_asked(port, CALLS)))
            assert len(_asked(port, CALLS)) == 3
            assert not _asked(port, "scrape_samples_scraped != scrape_samples_post_metric_relabeling")
        finally:
            process.terminate()
    warned = [
        line for line in (tmp_path / "log").read_text().splitlines() if "level=warn" in line or "level=error" in line
    ]
    assert not [line for line in warned if "scrape" in line], warned


def _asked(port: int, query: str) -> list[Any]:
    try:
        answer = httpx2.get(f"http://127.0.0.1:{port}/api/v1/query", params={"query": query}, timeout=5).json()
    except (httpx2.HTTPError, json.JSONDecodeError):
        return []
    return answer.get("data", {}).get("result", [])


def test_listed_tenants_are_shown_and_all_others_are_one() -> None:
    telemetry = Telemetry(Measures(), ("broker-a",))
    for tenant in ("broker-a", "broker-b", "broker-c", None):
        decision = Decision(
            "POST", subject="somebody", tenant=tenant, tool="t", outcome="answered", mcp_method="tools/call"
        )
        telemetry.answered(Outcome(200, b"", (), decision), {}, time.perf_counter())
    text = combined({0: {OPERATIONS.name: of_histogram(telemetry.operations)}})
    assert [total(text, CALLS, f'tenant="{one}"') for one in ("broker-a", "other")] == [1, 2]
    assert total(text, CALLS) == 4
    assert "broker-b" not in text


def test_no_caller_makes_a_histogram_grow_without_end() -> None:
    histogram = Histogram((1.0,))
    for number in range(2 * MOST_SERIES):
        histogram.observe((str(number),), 0.5)
    assert len(histogram.series) == MOST_SERIES + 1
    assert histogram.series["other",].counts == [MOST_SERIES, 0]


def _snapshot(count: float, gauge: float) -> Snapshot:
    histogram = Histogram(OPERATIONS.bounds)
    histogram.observe(("tools/call", 'a"b\\c', "", ""), 0.004)
    return decoded(
        encoded(
            {
                OPERATIONS.name: of_histogram(histogram),
                "tenantgate.requests": {("200",): count},
                "tenantgate.connections.open": {(): gauge},
            }
        )
    )


def test_counters_are_added_up_and_gauges_are_shown_for_each_worker() -> None:
    text = combined({0: _snapshot(3, 7), 1: _snapshot(4, 8)}, _snapshot(5, 9), ended=1)
    found = samples(text)
    assert found["tenantgate_requests_total", 'http_response_status_code="200"'] == 12
    assert found["tenantgate_connections_open", 'worker="0"'] == 7
    assert found["tenantgate_connections_open", 'worker="1"'] == 8
    assert total(text, CALLS) == 3
    assert total(text, "mcp_server_operation_duration_seconds_bucket", 'le="0.003"') == 0
    assert total(text, "mcp_server_operation_duration_seconds_bucket", 'le="0.005"') == 3
    assert total(text, "mcp_server_operation_duration_seconds_bucket", 'le="+Inf"') == 3
    assert 'gen_ai_tool_name="a\\"b\\\\c"' in text
    assert found["tenantgate_workers", ""] == 2
    assert found["tenantgate_workers_departed_total", ""] == 1


def test_a_message_that_is_not_a_snapshot_is_refused() -> None:
    for text in (b"[]", b"7", b"{", b'{"tenantgate.requests": [[7]]}', b'{"tenantgate.requests": 7}'):
        with pytest.raises(ValueError, match=r"snapshot|Expecting|unpack|values"):
            decoded(text)
    assert decoded(b'{"unknown": []}') == {}


def test_what_a_worker_counted_stays_when_it_ends(tmp_path: Path) -> None:
    """R206: a counter that fell would be read as a rise by all that the others have counted."""

    async def run() -> tuple[str, str]:
        gathered, path = Gathered(), str(tmp_path / "socket")
        async with gathered.listening(path):
            senders = [Sender(path), Sender(path)]
            for number, sender in enumerate(senders):
                await sender.send(_snapshot(10 + number, number))
            await _until(lambda: len(gathered.workers) == 2)
            both = gathered.text()
            senders[0].close()
            await _until(lambda: gathered.ended == 1)
            # The next one has its number, and begins to count anew; so does the other one, after a reload.
            again = Sender(path)
            await again.send(_snapshot(1, 5))
            await _until(lambda: len(gathered.workers) == 2)
            await senders[1].send(_snapshot(2, 6))
            await _until(lambda: 'worker="1"} 6' in gathered.text())
            after = gathered.text()
            again.close()
            senders[1].close()
        return both, after

    both, after = asyncio.run(run())
    requests = "tenantgate_requests_total"
    assert (total(both, requests), total(after, requests)) == (21, 24)
    assert total(after, CALLS) == 3
    assert sorted(labels for name, labels in samples(after) if name == "tenantgate_connections_open") == [
        'worker="0"',
        'worker="1"',
    ]


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.01)


@pytest.mark.slow
def test_two_workers_share_one_endpoint(stack: Stack, tmp_path: Path) -> None:
    metrics = free_port()
    with beside(stack, tmp_path, workers=2, audit=None, telemetry={"metrics_port": metrics}) as running:
        running.start()
        server = OwnServer(running.url, running.issuer.token())
        wait_until(lambda: _shown(metrics, WORKERS) == 2, 60)
        for _ in range(20):
            server.call("query_claims")
        wait_until(lambda: total(scraped(metrics).text, CALLS) == 20)
        text = scraped(metrics).text
        assert total(text, CALLS) == 20
        assert len([name for name, _ in samples(text) if name == "process_resident_memory_bytes"]) == 2
        os.kill(_children(running.pid)[-1], signal.SIGKILL)
        wait_until(lambda: _shown(metrics, DEPARTED) == 1 and _shown(metrics, WORKERS) == 2, 60)
        assert total(scraped(metrics).text, CALLS) == 20
        assert _shown(metrics, WORKERS) == 2


def _shown(port: int, metric: Metric) -> float:
    try:
        return total(scraped(port).text, metric.exposed)
    except httpx2.HTTPError:
        return -1


def _children(process: int) -> list[int]:
    """Return the worker processes."""
    found = [int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split()]
    return [one for one in found if b"server.workers" in Path(f"/proc/{one}/cmdline").read_bytes()]


def test_r214_refusals_that_are_held_back_are_shown(stack: Stack) -> None:
    """R214: a hundred at once of one person, who waits for them two seconds."""
    port, limits = free_port(), LimitsSettings(calls_per_minute_per_person=1)
    changed = {"telemetry": TelemetrySettings(metrics_port=port)}

    async def flood(server: OwnServer) -> None:
        headers, body = server.request("whoami")
        async with httpx2.AsyncClient(timeout=30) as http:
            await asyncio.gather(*(http.post(f"{server.url}/mcp", headers=headers, json=body) for _ in range(100)))

    with variables(), server_of_its_own(stack, limits=limits, changed=changed) as server:
        assert server.post("whoami").status_code == 200
        flooding = threading.Thread(target=asyncio.run, args=[flood(server)])
        flooding.start()
        wait_until(lambda: total(scraped(port).text, "tenantgate_refusals_held") > 0)
        assert 0 < total(scraped(port).text, "tenantgate_refusals_held") <= PER_PERSON
        flooding.join()
        wait_until(lambda: total(scraped(port).text, "tenantgate_refusals_held") == 0)
        text = scraped(port).text
        assert total(text, "tenantgate_refusals_held") == 0
        # All had room.
        assert ("tenantgate_refusals_unheld_total", "") in samples(text)
        assert total(text, "tenantgate_refusals_unheld_total") == 0
