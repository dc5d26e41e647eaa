"""Traces as a receiver gets them: whose they are, what they hold and never hold (R105, R200, R201, R202, R203)."""

import asyncio
import hashlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from support.server_of_its_own import one_more_tool
from support.telemetry import PACKAGES, Watched, attributes, variables, wait_until, watched_server

from server.app import create_app
from server.dev.stack import Stack
from server.protocol.surface import Protocol
from server.settings import AuditSettings
from server.telemetry.parent import RemoteSpan, span_of_message
from server.telemetry.reporting import _within
from server.telemetry.sampling import Sampling, sampling_of

# The kinds of the protocol: a server's span, and one that asks somebody else.
SERVER, CLIENT = 2, 3
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OTHER_TRACE, OTHER_SPAN = "11111111111111111111111111111111", "2222222222222222"
CANARY = "canary-5f1c77"
# A tool whose defect has a text that nobody but the log may see.
FAILING = f"""
from server.catalog.tool import Arguments, CodeTool, Result


class Nothing(Arguments):
    pass


class None_(Result):
    pass


async def fail(arguments, access):
    raise RuntimeError("{CANARY}-exception")


TOOL = CodeTool(
    name="fail", title="Fail", description="Fails.", arguments=Nothing, result=None_, scope=None, call=fail
)
"""


def traceparent(trace: str, span: str, flags: str = "01") -> str:
    return f"00-{trace}-{span}-{flags}"


@pytest.fixture(scope="module")
def watched(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    pytest.importorskip(PACKAGES, reason="the packages of the extra telemetry are missing")
    with one_more_tool(tmp_path_factory.mktemp("failing"), "fail", FAILING), watched_server(stack) as server:
        yield server


def test_a_call_is_a_span_below_the_clients_with_its_statement_below(watched: Watched) -> None:
    answer = watched.send("query_claims", {"traceparent": traceparent(TRACE, SPAN)})
    spans = watched.receiver.trace(TRACE, 2)
    call = spans["tools/call query_claims"]
    statement = next(span for name, span in spans.items() if "claims" in name and span is not call)
    assert call.parent_span_id.hex() == SPAN
    assert call.kind == SERVER
    assert statement.parent_span_id == call.span_id
    assert statement.kind == CLIENT
    said = attributes(call)
    assert said["mcp.method.name"] == "tools/call"
    assert said["gen_ai.tool.name"] == "query_claims"
    assert said["gen_ai.operation.name"] == "execute_tool"
    assert said["jsonrpc.request.id"] == "1"
    assert said["mcp.protocol.version"] == "2025-11-25"
    assert said["tenantgate.request.id"] == answer.headers["x-request-id"]
    assert not call.links
    asked = attributes(statement)
    assert asked["db.system.name"] == "postgresql"
    assert asked["db.query.summary"] == statement.name
    assert {"server.address", "db.namespace"} <= set(asked)


def test_a_search_is_a_span_named_after_the_knowledge_base(watched: Watched) -> None:
    trace = "3" * 32
    watched.send("search_policies", {"traceparent": traceparent(trace, SPAN)}, query=f"deductible {CANARY}-question")
    spans = watched.receiver.trace(trace, 2)
    (search,) = (span for name, span in spans.items() if name.startswith("retrieval "))
    assert search.parent_span_id == spans["tools/call search_policies"].span_id
    assert attributes(search)["gen_ai.data_source.id"] == search.name.removeprefix("retrieval ")


def test_the_message_names_the_parent_and_the_header_becomes_a_link(watched: Watched) -> None:
    trace = "4" * 32
    watched.send(
        "whoami", {"traceparent": traceparent(trace, SPAN)}, {"traceparent": traceparent(OTHER_TRACE, OTHER_SPAN)}
    )
    call = watched.receiver.trace(trace, 1)["tools/call whoami"]
    (link,) = call.links
    assert (link.trace_id.hex(), link.span_id.hex()) == (OTHER_TRACE, OTHER_SPAN)


def test_without_a_traceparent_in_the_message_the_header_names_the_parent(watched: Watched) -> None:
    trace = "5" * 32
    watched.send("whoami", headers={"traceparent": traceparent(trace, SPAN), "baggage": f"who={CANARY}-baggage"})
    assert watched.receiver.trace(trace, 1)["tools/call whoami"].parent_span_id.hex() == SPAN


@pytest.mark.parametrize(
    ("tool", "arguments", "error"),
    [("query_claims", {"limit": -1}, "tool_error"), (f"{CANARY}-tool", {}, "-32602"), ("fail", {}, "-32603")],
)
def test_a_failure_is_named_by_its_kind_alone(watched: Watched, tool: str, arguments: Any, error: str) -> None:
    trace = hashlib.sha256(tool.encode()).hexdigest()[:32]
    watched.send(tool, {"traceparent": traceparent(trace, SPAN)}, **arguments)
    (span,) = watched.receiver.trace(trace, 1).values()
    assert attributes(span)["error.type"] == error
    assert span.name == ("tools/call" if CANARY in tool else f"tools/call {tool}")
    assert (span.status.code, span.status.message) == (2, "")
    assert not span.events


def test_nothing_that_was_sent_or_read_is_in_a_span_or_a_metric(watched: Watched) -> None:
    """R200: argument, question, token, exception, baggage, tracestate, ids that a client chooses, tenant and person."""
    trace = "6" * 32
    meta = {"traceparent": traceparent(trace, SPAN), "tracestate": f"v={CANARY}-state", "baggage": f"a={CANARY}-b"}
    watched.send("query_claims", meta, search=f"{CANARY}-argument", claim_number=f"{CANARY}-number")
    watched.send("query_claims", meta, customer_name=f"{CANARY}-customer")
    watched.send("search_policies", meta, query=f"{CANARY}-question")
    watched.send("fail", meta)
    headers, body = watched.server.request("whoami")
    body |= {"id": f"{CANARY}-id", "params": body["params"] | {"_meta": meta}}
    assert httpx2.post(f"{watched.server.url}/mcp", headers=headers, json=body).status_code == 200
    headers |= {"authorization": f"Bearer {CANARY}.token", "mcp-protocol-version": f"{CANARY}-version"}
    assert httpx2.post(f"{watched.server.url}/mcp", headers=headers, json=body).status_code == 401
    assert len(watched.receiver.trace(trace, 6)) == 6
    wait_until(lambda: any(path == "/v1/metrics" for path, _ in watched.receiver.bodies))
    everything = b"".join(body for _, body in watched.receiver.bodies) + watched.scrape().encode()
    assert b"query_claims" in everything
    for secret in (CANARY, watched.server.token, "broker-a", "mike-broker-a", "CLM-A-001", "deductible"):
        at = everything.find(secret.encode())
        assert at < 0, everything[max(0, at - 300) : at + 100]


def test_metrics_are_sent_too(watched: Watched) -> None:
    watched.send("query_claims")
    wait_until(lambda: "mcp.server.operation.duration" in watched.receiver.metrics())
    sent = watched.receiver.metrics()
    (point, *_) = sent["mcp.server.operation.duration"].histogram.data_points
    assert sum(point.bucket_counts) == point.count > 0
    assert not point.HasField("min")
    assert sent["mcp.server.operation.duration"].unit == "s"
    assert sent["tenantgate.requests"].sum.is_monotonic


def test_the_sdks_own_spans_are_off(watched: Watched) -> None:
    """R201: they hold the text of exceptions; a list goes the SDK's way, and has one span, which is ours."""
    trace = "7" * 32
    headers, _ = watched.server.request("whoami")
    meta = {"traceparent": traceparent(trace, SPAN)}
    body = {"jsonrpc": "2.0", "id": 1, "method": "prompts/list", "params": {"_meta": meta}}
    assert httpx2.post(f"{watched.server.url}/mcp", headers=headers, json=body).status_code == 200
    assert list(watched.receiver.trace(trace, 1)) == ["prompts/list"]
    (span,) = (one for one in watched.receiver.spans() if one.trace_id.hex() == trace)
    assert "jsonrpc.request.id" in attributes(span)


@pytest.mark.parametrize(
    ("message", "is_one"),
    [
        (traceparent(TRACE, SPAN), True),
        (traceparent(TRACE, SPAN, "00"), True),
        (traceparent("0" * 32, SPAN), False),
        (traceparent(TRACE, "0" * 16), False),
        (traceparent(TRACE.upper(), SPAN), False),
        (traceparent(TRACE, SPAN).replace("00-", "ff-", 1), False),
        (traceparent(TRACE, SPAN) + "\n", False),
        (7, False),
        (None, False),
    ],
)
def test_only_a_valid_traceparent_names_a_span(message: Any, is_one: bool) -> None:
    found = span_of_message({"params": {"_meta": {"traceparent": message}}})
    assert (found is not None) == is_one
    assert span_of_message({"params": message}) is None
    assert span_of_message([message]) is None


def test_no_flag_and_no_trace_id_of_a_caller_forces_a_recording() -> None:
    """R202: with the default, of 20,000 sampled parents whose id a ratio of ids would take, some 5 % are recorded."""
    parent = RemoteSpan("0" * 31 + "1", SPAN, sampled=True)
    default = sampling_of({})
    taken = sum(default.takes(parent) for _ in range(20_000))
    assert 700 < taken < 1_300
    assert not any(default.takes(RemoteSpan(TRACE, SPAN, sampled=False)) for _ in range(1_000))


@pytest.mark.parametrize(
    ("name", "argument", "expected"),
    [
        ("", "", Sampling(0.05)),
        ("", "0.5", Sampling(0.5)),
        ("always_on", "", Sampling(1, heeds_parent=False)),
        ("always_off", "", Sampling(0, heeds_parent=False)),
        ("traceidratio", "0.25", Sampling(0.25, heeds_parent=False)),
        ("parentbased_traceidratio", "0.25", Sampling(0.25)),
        ("parentbased_traceidratio", "", Sampling(1)),
        ("parentbased_always_on", "", Sampling(1)),
        ("parentbased_always_off", "", Sampling(0)),
    ],
)
def test_the_standard_samplers_are_known(name: str, argument: str, expected: Sampling) -> None:
    assert sampling_of({"OTEL_TRACES_SAMPLER": name, "OTEL_TRACES_SAMPLER_ARG": argument}) == expected


def test_without_the_variables_there_is_no_span_object_and_no_middleware(stack: Stack) -> None:
    """R203."""
    pytest.importorskip(PACKAGES, reason="the packages of the extra telemetry are missing")
    with variables():
        assert _hooks(stack) == (None, None)
    with variables(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9", OTEL_SDK_DISABLED="true"):
        assert _hooks(stack) == (None, None)
    with variables(OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9"):
        telemetry, _ = _hooks(stack)
        assert telemetry is not None
        telemetry.tracing.close()


def _hooks(stack: Stack) -> tuple[Any, Any]:
    """Return what an application hands every request to."""
    app = create_app(stack.settings.model_copy(update={"audit": AuditSettings()}))
    gate: Any = app.routes[0].app  # type: ignore[attr-defined]
    return gate._endpoint._telemetry, gate._recorder._telemetry


def test_the_sdks_server_has_no_middleware(stack: Stack) -> None:
    seen: list[Any] = []
    original = Protocol.__init__

    def noted(self: Protocol, *arguments: Any) -> None:
        original(self, *arguments)
        seen.append(self.server)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Protocol, "__init__", noted)
        _hooks(stack)
    assert [one.middleware for one in seen] == [[]]


def test_a_receiver_that_hangs_does_not_eat_the_time_of_a_stop() -> None:
    pytest.importorskip(PACKAGES, reason="the packages of the extra telemetry are missing")
    from server.telemetry.otlp import exported_traces
    from server.telemetry.tracing import resource

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with variables(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_BSP_SCHEDULE_DELAY="60000"):
            tracing = exported_traces(Sampling(1), resource("1", "one"))
            trace = tracing.begin(None, None, time.perf_counter())
            assert trace is not None
            trace.end("call", {})
            began = time.monotonic()
            ended = asyncio.run(_within(0.5, [tracing.close]))
    assert not ended
    # Without the limit it takes as long as the exporter's own, 10 seconds.
    assert time.monotonic() - began < 5
