"""The text that Prometheus scrapes: text format, version 0.0.4, of one or several workers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from server.telemetry.metrics import METRICS, Metric
from server.telemetry.snapshot import Labels, Snapshot, Value, added

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
WORKERS: Final = Metric("tenantgate.workers", "gauge", "Worker processes that report.")
DEPARTED: Final = Metric("tenantgate.workers.departed", "counter", "Worker processes that ended since the start.")


def combined(workers: Mapping[int, Snapshot], departed: Snapshot | None = None, ended: int = 0) -> str:
    """Return the text for the snapshots of `workers`, by number.

    Counters and histograms are added up, including those of `departed` workers, so that none ever falls; gauges are
    shown for each worker.
    """
    sums = added([*workers.values(), departed or {}])
    lines: list[str] = []
    for metric in METRICS:
        if metric.kind == "gauge":
            samples = [
                sample
                for number, snapshot in sorted(workers.items())
                for labels, value in snapshot.get(metric.name, {}).items()
                for sample in _samples(metric, labels, value, worker=str(number))
            ]
        else:
            samples = [
                one for labels, value in sums.get(metric.name, {}).items() for one in _samples(metric, labels, value)
            ]
        if samples:
            lines += [*_head(metric), *samples]
    lines += [*_head(WORKERS), *_samples(WORKERS, (), float(len(workers)))]
    lines += [*_head(DEPARTED), *_samples(DEPARTED, (), float(ended))]
    return "\n".join(lines) + "\n"


def _head(metric: Metric) -> tuple[str, str]:
    return f"# HELP {metric.exposed} {metric.help}", f"# TYPE {metric.exposed} {metric.kind}"


def _samples(metric: Metric, labels: Labels, value: Value, **more: str) -> Iterator[str]:
    shown = [(name.replace(".", "_"), text) for name, text in zip(metric.labels, labels, strict=True) if text]
    shown += more.items()
    if not isinstance(value, tuple):
        yield f"{metric.exposed}{_braces(shown)} {_number(value)}"
        return
    *counts, total = value
    below = 0.0
    for bound, count in zip((*map(str, metric.bounds), "+Inf"), counts, strict=True):
        below += count
        yield f"{metric.exposed}_bucket{_braces([*shown, ('le', bound)])} {_number(below)}"
    yield f"{metric.exposed}_sum{_braces(shown)} {_number(total)}"
    yield f"{metric.exposed}_count{_braces(shown)} {_number(below)}"


def _braces(labels: Sequence[tuple[str, str]]) -> str:
    inside = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels)
    return f"{{{inside}}}" if inside else ""


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)
