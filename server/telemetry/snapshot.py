"""One process's numbers at one moment, in a form that can be sent: by metric, then by the values of its labels."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

from server.telemetry.histogram import Histogram
from server.telemetry.metrics import METRICS, Metric

# A counter or gauge is one number; a histogram is the number in each bucket, then the total in seconds.
Value = float | tuple[float, ...]
Labels = tuple[str, ...]
Snapshot = Mapping[str, Mapping[Labels, Value]]
_KNOWN: Final[Mapping[str, Metric]] = {metric.name: metric for metric in METRICS}


def of_histogram(histogram: Histogram) -> dict[Labels, Value]:
    """Return the series of a histogram."""
    return {labels: (*series.counts, series.total_s) for labels, series in histogram.series.items()}


def encoded(snapshot: Snapshot) -> bytes:
    """Return a snapshot as JSON."""
    return json.dumps({name: list(series.items()) for name, series in snapshot.items()}, separators=(",", ":")).encode()


def decoded(text: bytes) -> Snapshot:
    """Return the snapshot that `encoded` wrote; raise ValueError for anything else."""
    try:
        read: Any = json.loads(text)
        return {name: dict(map(_series, series)) for name, series in read.items() if name in _KNOWN}
    except (AttributeError, TypeError) as error:
        raise ValueError("this is not a snapshot") from error


def _series(pair: Sequence[Any]) -> tuple[Labels, Value]:
    labels, value = pair
    found = tuple(map(float, cast("list[Any]", value))) if isinstance(value, list) else float(value)
    return tuple(map(str, labels)), found


def added(snapshots: Iterable[Snapshot]) -> dict[str, dict[Labels, Value]]:
    """Return the sum of the counters and histograms of several snapshots; gauges are left out."""
    total: dict[str, dict[Labels, Value]] = {}
    for snapshot in snapshots:
        for name, series in snapshot.items():
            if _KNOWN[name].kind == "gauge":
                continue
            sums = total.setdefault(name, {})
            for labels, value in series.items():
                sums[labels] = _sum(sums[labels], value) if labels in sums else value
    return total


def fallen(before: Snapshot, now: Snapshot) -> Snapshot:
    """Return the counters and histograms of `before` that are lower in `now`, as after a reload."""
    return {
        name: {
            labels: value
            for labels, value in series.items()
            if _count(value) > _count(now.get(name, {}).get(labels, 0.0))
        }
        for name, series in before.items()
        if _KNOWN[name].kind != "gauge"
    }


def _count(value: Value) -> float:
    return sum(value[:-1]) if isinstance(value, tuple) else value


def _sum(one: Value, other: Value) -> Value:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return tuple(first + second for first, second in zip(one, other, strict=True))
    if isinstance(one, tuple) or isinstance(other, tuple):
        raise ValueError("a metric is of two kinds")  # noqa: TRY004  # invalid data was sent
    return one + other
