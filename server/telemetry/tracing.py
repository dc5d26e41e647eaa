"""Spans by OpenTelemetry's SDK: of a traced request, and of its calls to other services."""

import time
from collections.abc import Mapping
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    set_span_in_context,
)

from server.telemetry import names
from server.telemetry.parent import RemoteSpan
from server.telemetry.sampling import Sampling

Attributes = Mapping[str, str | int]


class Trace:
    """A request's span and the spans below it; none holds an exception's text, a question or an answer."""

    __slots__ = ("_below", "_tracer", "span")

    def __init__(self, tracer: Tracer, span: Span) -> None:
        """Take the request's span, which has started."""
        self.span: Final = span
        self._tracer: Final = tracer
        self._below: Final = set_span_in_context(span, Context())

    @property
    def trace_id(self) -> str:
        """The trace's id in hexadecimal."""
        return f"{self.span.get_span_context().trace_id:032x}"

    def child(self, name: str, attributes: Attributes) -> Span:
        """Start the span of one call to another service."""
        return self._tracer.start_span(name, self._below, SpanKind.CLIENT, attributes)

    def end(self, name: str, attributes: Attributes) -> None:
        """End the request's span."""
        self.span.update_name(name)
        end_span(self.span, attributes)


def end_span(span: Span, attributes: Attributes) -> None:
    """End a span; `error.type` among its last attributes marks it as failed."""
    if attributes:
        span.set_attributes(attributes)
    if names.ERROR_TYPE in attributes:
        # No description: it would be the exception's text.
        span.set_status(StatusCode.ERROR)
    span.end()


class Tracing:
    """Starts the traces that sampling selects, and exports them."""

    def __init__(self, exporter: SpanExporter, sampling: Sampling, resource: Resource) -> None:
        """Export in a thread of the SDK; the standard variables OTEL_BSP_… size its queue."""
        self._sampling: Final = sampling
        # Sampling has already selected every request that comes here.
        self._provider: Final = TracerProvider(sampler=ALWAYS_ON, resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer: Final = self._provider.get_tracer("tenantgate")
        self.recorded = 0

    def begin(self, named: RemoteSpan | None, http: RemoteSpan | None, started: float) -> Trace | None:
        """Start the span of a request, None when it is not traced; `started` is from time.perf_counter().

        Its parent is `named`, the span that the message names; then the HTTP header's span is a link (MCP conventions).
        """
        parent = named or http
        if not self._sampling.takes(parent):
            return None
        self.recorded += 1
        links = [Link(_context(http))] if named is not None and http is not None and http != named else None
        context = set_span_in_context(NonRecordingSpan(_context(parent)), Context()) if parent else Context()
        began_ns = time.time_ns() - int((time.perf_counter() - started) * 1e9)
        span = self._tracer.start_span("request", context, SpanKind.SERVER, links=links, start_time=began_ns)
        return Trace(self._tracer, span)

    def close(self) -> None:
        """Send the remaining spans and stop; this takes seconds when the receiver does not answer."""
        self._provider.shutdown()


def _context(remote: RemoteSpan) -> SpanContext:
    flags = TraceFlags(TraceFlags.SAMPLED)
    return SpanContext(int(remote.trace_id, 16), int(remote.span_id, 16), is_remote=True, trace_flags=flags)


def resource(version: str, instance: str) -> Resource:
    """Return the sender's description; OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES override it."""
    own: dict[str, Any] = {
        "service.name": "tenantgate",
        "service.version": version,
        "service.instance.id": instance,
    }
    named = Resource.create({})
    found = {name: value for name, value in named.attributes.items() if not str(value).startswith("unknown_service")}
    return Resource({**own, **found})
