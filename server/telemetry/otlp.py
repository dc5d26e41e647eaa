"""Export by OTLP over HTTP: traces through the SDK, and the same metrics as a scrape shows."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final, cast

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    HistogramDataPoint,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramPoints
from opentelemetry.sdk.metrics.export import Metric as Exported
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from server.telemetry.metrics import METRICS, Metric
from server.telemetry.sampling import Sampling
from server.telemetry.snapshot import Labels, Snapshot, Value
from server.telemetry.tracing import Tracing

_CUMULATIVE: Final = AggregationTemporality.CUMULATIVE
# Optional in the protocol, but not in the SDK's types.
_UNKNOWN: Final = cast("float", None)
_SCOPE: Final = InstrumentationScope("tenantgate", version("tenantgate"))


def exported_traces(sampling: Sampling, resource: Resource) -> Tracing:
    """Return tracing that sends to the endpoint of the standard variables."""
    return Tracing(OTLPSpanExporter(), sampling, resource)


class MetricsExport:
    """Sends the last snapshot once per interval, in its own thread."""

    def __init__(self, interval_s: float, resource: Resource, last: Callable[[], Snapshot]) -> None:
        """Send to the endpoint of the standard variables; any thread may call `last`."""
        self._interval_s: Final = interval_s
        self._resource: Final = resource
        self._last: Final = last
        self._exporter: Final[Any] = OTLPMetricExporter()
        self._began_ns: Final = time.time_ns()
        self._stopped: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._run, name="metrics export", daemon=True)

    def start(self) -> None:
        """Start to send."""
        self._thread.start()

    def close(self) -> None:
        """Send once more, then stop."""
        self._stopped.set()
        self._thread.join()
        self._send()
        self._exporter.shutdown()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            self._send()

    def _send(self) -> None:
        snapshot = self._last()
        now_ns = time.time_ns()
        metrics = [self._exported(one, snapshot[one.name], now_ns) for one in METRICS if one.name in snapshot]
        scope = ScopeMetrics(_SCOPE, metrics, "")
        self._exporter.export(MetricsData([ResourceMetrics(self._resource, [scope], "")]))

    def _exported(self, metric: Metric, series: Mapping[Labels, Value], now_ns: int) -> Exported:
        points = [self._point(metric, labels, value, now_ns) for labels, value in series.items()]
        data = _data(metric, points)
        return Exported(metric.name, metric.help, metric.unit, data)

    def _point(self, metric: Metric, labels: Labels, value: Value, now_ns: int) -> NumberDataPoint | HistogramDataPoint:
        attributes = {name: text for name, text in zip(metric.labels, labels, strict=True) if text}
        if not isinstance(value, tuple):
            return NumberDataPoint(attributes, self._began_ns, now_ns, value)
        *counts, total = value
        whole = [int(count) for count in counts]
        return HistogramDataPoint(
            attributes, self._began_ns, now_ns, sum(whole), total, whole, metric.bounds, min=_UNKNOWN, max=_UNKNOWN
        )


def _data(metric: Metric, points: Sequence[NumberDataPoint | HistogramDataPoint]) -> Sum | Gauge | HistogramPoints:
    histograms = [one for one in points if isinstance(one, HistogramDataPoint)]
    numbers = [one for one in points if isinstance(one, NumberDataPoint)]
    if metric.kind == "histogram":
        return HistogramPoints(histograms, _CUMULATIVE)
    return Sum(numbers, _CUMULATIVE, is_monotonic=True) if metric.kind == "counter" else Gauge(numbers)
