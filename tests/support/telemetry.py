"""A receiver of OTLP over HTTP, and a server whose every request is measured and traced."""

import os
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2
import pytest

from server.dev.stack import Stack
from server.settings import TelemetrySettings
from support.ports import free_port
from support.server_of_its_own import OwnServer, server_of_its_own

PACKAGES = "opentelemetry.exporter.otlp.proto.http"
FAST = {"OTEL_BSP_SCHEDULE_DELAY": "50", "OTEL_METRIC_EXPORT_INTERVAL": "500"}


@dataclass
class Receiver:
    """What arrived: the bodies by path, parsed when asked for."""

    port: int
    bodies: list[tuple[str, bytes]] = field(default_factory=list[tuple[str, bytes]])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def spans(self) -> list[Any]:
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        requests = [ExportTraceServiceRequest.FromString(body) for path, body in self.bodies if path == "/v1/traces"]
        return [
            span
            for one in requests
            for sent in one.resource_spans
            for scope in sent.scope_spans
            for span in scope.spans
        ]

    def metrics(self) -> dict[str, Any]:
        from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

        requests = [ExportMetricsServiceRequest.FromString(body) for path, body in self.bodies if path == "/v1/metrics"]
        return {
            metric.name: metric
            for one in requests
            for sent in one.resource_metrics
            for scope in sent.scope_metrics
            for metric in scope.metrics
        }

    def trace(self, trace_id: str, spans: int) -> dict[str, Any]:
        """Return the spans of one trace by name, once there are so many."""

        def found() -> dict[str, Any]:
            return {span.name: span for span in self.spans() if span.trace_id.hex() == trace_id}

        wait_until(lambda: len(found()) >= spans)
        return found()


@contextmanager
def receiving() -> Generator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            receiver.bodies.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  # its name in the base
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        receiver = Receiver(http.server_address[1])
        thread = threading.Thread(target=http.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield receiver
        finally:
            http.shutdown()
            thread.join()


@dataclass(frozen=True)
class Watched:
    """A server, what it sends, and its scrapes."""

    server: OwnServer
    receiver: Receiver
    metrics_url: str

    def send(
        self, tool: str, meta: dict[str, Any] | None = None, headers: dict[str, str] | None = None, **arguments: Any
    ):
        """Call a tool in a handshake version, with more in `_meta` and in the headers."""
        sent, body = self.server.request(tool, **arguments)
        body["params"] |= {"_meta": meta} if meta else {}
        return httpx2.post(f"{self.server.url}/mcp", headers=sent | (headers or {}), json=body, timeout=30)

    def scrape(self) -> str:
        """Return what a scrape reads after the next reading."""
        time.sleep(1.2)
        return httpx2.get(self.metrics_url, timeout=20).text


@contextmanager
def variables(**values: str) -> Generator[None]:
    """Set environment variables meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("OTEL_")]:
            patch.delenv(name)
        for name, value in values.items():
            patch.setenv(name, value)
        yield


@contextmanager
def watched_server(stack: Stack, *tenants: str) -> Generator[Watched]:
    port = free_port()
    settings = TelemetrySettings(metrics_port=port, tenants=tenants)
    with receiving() as receiver:
        asked = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_TRACES_SAMPLER": "always_on", **FAST}
        with variables(**asked), server_of_its_own(stack, changed={"telemetry": settings}) as server:
            yield Watched(server, receiver, f"http://127.0.0.1:{port}/metrics")


def wait_until(holds: Callable[[], bool], seconds: float = 30) -> None:
    """Wait until it holds; the caller looks at the result."""
    until = time.monotonic() + seconds
    while not holds() and time.monotonic() < until:
        time.sleep(0.05)


def attributes(span: Any) -> dict[str, Any]:
    """Return the attributes of a span or data point as they were sent."""
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}
